import Kernels
import Weights

/// The matrices of a layer's experts, in whichever of six ways a file holds them.
extension TensorSource {
  /// Of each expert, `[inner, column]`, `[inner, column]` and `[column, inner]`.
  struct ExpertStacks {
    var gates: [PackedMatrix] = []
    var ups: [PackedMatrix] = []
    var downs: [PackedMatrix] = []
  }

  func experts(count: Int, inner: Int, columns: Int, layer: Int) throws -> ExpertStacks {
    guard isGGUF else { return try expertsOfHuggingFace(count: count, inner: inner, columns: columns, layer: layer) }
    var stacks = ExpertStacks()
    if let fused = try tensor(named: "ffn_gate_up_exps.weight", layer: layer) {
      (stacks.gates, stacks.ups) = try halves(of: fused, count: count, inner: inner, columns: columns)
    } else {
      stacks.gates = try stack("ffn_gate", count: count, rows: inner, columns: columns, layer: layer)
      stacks.ups = try stack("ffn_up", count: count, rows: inner, columns: columns, layer: layer)
    }
    stacks.downs = try stack("ffn_down", count: count, rows: columns, columns: inner, layer: layer)
    return stacks
  }

  /// Numbers of all experts of a layer, where the file has them.
  func expertVector(_ stem: String, _ part: String, count: Int, layer: Int) throws -> Buffer<Float>? {
    if !isGGUF, case .transposed(let both, let down)? = names.experts, part == "bias" {
      guard let name = ["ffn_gate_exps": both, "ffn_up_exps": both, "ffn_down_exps": down][stem],
        let tensor = try tensor(named: name + "_bias", layer: layer)
      else { return nil }
      let all = floats(tensor, rows: 1, columns: tensor.info.shape.reduce(1, *))
      guard stem != "ffn_down_exps" else { return all }
      guard all.count == 2 * count else {
        throw ModelError.badTensor(tensor.info.name, expected: [2 * count], got: tensor.info.shape, in: file.path)
      }
      let own = Buffer<Float>(count: count)
      for index in 0..<count { own[index] = all[2 * index + (stem == "ffn_up_exps" ? 1 : 0)] }
      return own
    }
    let name = TensorName(stem, layer: layer)
    guard has(name, part) else { return nil }
    let tensor = try self.tensor(named: nameWithinLayer(name, part), layer: layer)
    guard let tensor, tensor.info.shape.reduce(1, *) == count else {
      throw ModelError.badTensor(stem, expected: [count], got: tensor?.info.shape ?? [], in: file.path)
    }
    return floats(tensor, rows: 1, columns: count)
  }

  private func nameWithinLayer(_ name: TensorName, _ part: String) -> String {
    let text = names.text(name, part, in: file.format) ?? ""
    let prefix = isGGUF ? "blk.\(name.layer ?? 0)." : "\(names.layers).\(name.layer ?? 0)."
    return String(text.dropFirst(prefix.count))
  }

  /// `[expert, rows, columns]` in one tensor, or in files of before April 2024 one for each expert.
  private func stack(_ stem: String, count: Int, rows: Int, columns: Int, layer: Int) throws -> [PackedMatrix] {
    if let tensor = try tensor(named: stem + "_exps.weight", layer: layer) {
      return try parts(of: tensor, count: count, rows: rows, columns: columns)
    }
    return try (0..<count).map {
      try matrix(TensorName("\(stem).\($0)", layer: layer), rows: rows, columns: columns)
    }
  }

  private func expertsOfHuggingFace(count: Int, inner: Int, columns: Int, layer: Int) throws -> ExpertStacks {
    var stacks = ExpertStacks()
    switch names.experts {
    case .apart(let module, let gate, let up, let down):
      func matrices(_ name: String, rows: Int, columns: Int) throws -> [PackedMatrix] {
        try (0..<count).map { expert in
          let text = "\(module).\(expert).\(name).weight"
          let tensor = try expertTensor(text, layer: layer)
          return try parts(of: tensor, count: 1, rows: rows, columns: columns)[0]
        }
      }
      stacks.gates = try matrices(gate, rows: inner, columns: columns)
      stacks.ups = try matrices(up, rows: inner, columns: columns)
      stacks.downs = try matrices(down, rows: columns, columns: inner)
    case .together(let both, let down):
      (stacks.gates, stacks.ups) = try halves(
        of: expertTensor(both, layer: layer), count: count, inner: inner, columns: columns)
      stacks.downs = try parts(of: expertTensor(down, layer: layer), count: count, rows: columns, columns: inner)
    case .transposed(let both, let down):
      if hasMicroscaled(both, layer: layer) {
        stacks.gates = try microscaled(
          both, count: count, rows: inner, columns: columns, first: 0, step: 2, layer: layer)
        stacks.ups = try microscaled(both, count: count, rows: inner, columns: columns, first: 1, step: 2, layer: layer)
        stacks.downs = try microscaled(
          down, count: count, rows: columns, columns: inner, first: 0, step: 1, layer: layer)
        return stacks
      }
      let wide = try expertTensor(both, layer: layer)
      stacks.gates = try transposed(wide, count: count, rows: inner, columns: columns, first: 0, step: 2)
      stacks.ups = try transposed(wide, count: count, rows: inner, columns: columns, first: 1, step: 2)
      stacks.downs = try transposed(
        expertTensor(down, layer: layer), count: count, rows: columns, columns: inner, first: 0, step: 1)
    case nil: throw ModelError.unsupported("the architecture has no names for experts", in: file.path)
    }
    return stacks
  }

  private func expertTensor(_ name: String, layer: Int) throws -> Tensor {
    guard let tensor = try tensor(named: name, layer: layer) else {
      return try file.tensor("\(names.layers).\(layer).\(name)")
    }
    return tensor
  }

  /// Matrices that lie one after another.
  private func parts(of tensor: Tensor, count: Int, rows: Int, columns: Int) throws -> [PackedMatrix] {
    let shape = count == 1 ? [rows, columns] : [count, rows, columns]
    guard tensor.info.shape.filter({ $0 != 1 }) == shape.filter({ $0 != 1 }) else {
      throw ModelError.badTensor(tensor.info.name, expected: shape, got: tensor.info.shape, in: file.path)
    }
    defer { tensor.release() }
    let bytes = rows * tensor.info.type.rowBytes(columns: columns)
    return (0..<count).map { index in
      PackedMatrix(
        type: tensor.info.type, rows: rows, columns: columns,
        source: UnsafeRawBufferPointer(rebasing: tensor.bytes[index * bytes..<(index + 1) * bytes]), team: team)
    }
  }

  /// Matrices of which each holds the rows of two.
  private func halves(
    of tensor: Tensor, count: Int, inner: Int, columns: Int
  ) throws -> (first: [PackedMatrix], second: [PackedMatrix]) {
    guard tensor.info.shape == [count, 2 * inner, columns] else {
      throw ModelError.badTensor(
        tensor.info.name, expected: [count, 2 * inner, columns], got: tensor.info.shape, in: file.path)
    }
    defer { tensor.release() }
    let bytes = inner * tensor.info.type.rowBytes(columns: columns)
    let half = { (index: Int) in
      PackedMatrix(
        type: tensor.info.type, rows: inner, columns: columns,
        source: UnsafeRawBufferPointer(rebasing: tensor.bytes[index * bytes..<(index + 1) * bytes]), team: team)
    }
    return ((0..<count).map { half(2 * $0) }, (0..<count).map { half(2 * $0 + 1) })
  }

  /// Matrices stored as `[expert, column, step × row]`, of which every `step`-th row is meant.
  private func transposed(
    _ tensor: Tensor, count: Int, rows: Int, columns: Int, first: Int, step: Int
  ) throws -> [PackedMatrix] {
    guard tensor.info.shape == [count, columns, step * rows] else {
      throw ModelError.badTensor(
        tensor.info.name, expected: [count, columns, step * rows], got: tensor.info.shape, in: file.path)
    }
    let all = floats(tensor, rows: count * columns, columns: step * rows)
    return (0..<count).map { expert in
      var values = [Float](repeating: 0, count: rows * columns)
      for column in 0..<columns {
        let source = all.pointer + (expert * columns + column) * step * rows + first
        for row in 0..<rows { values[row * columns + column] = source[step * row] }
      }
      return PackedMatrix.packing(values, rows: rows, columns: columns)
    }
  }
}
