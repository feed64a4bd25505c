/// The place of a file among those that one model is split over, `NAME-00001-of-00003.gguf` and so on.
///
/// Every part is a GGUF file with tensors of its own; the first has the description of the whole and may have no
/// tensors. The keys are `split.no` (from 0), `split.count` and `split.tensors.count` (of all parts).
/// Source: gguf-split and llama-model-loader.cpp of ggml-org/llama.cpp.
struct SplitGGUF: Sendable, Hashable {
  /// From 0.
  let index: Int
  let count: Int
  /// The tensors of all parts together, where the file says it.
  let tensorCount: Int?

  /// Nil where the file is a whole model: parts that were joined again keep the keys with a count of 0.
  init?(_ metadata: Metadata) throws(WeightsError) {
    guard let count = try metadata.integer(ifPresent: "split.count"), count > 1 else { return nil }
    self.count = count
    index = try metadata.integer("split.no")
    tensorCount = try metadata.integer(ifPresent: "split.tensors.count")
    guard (0..<count).contains(index) else {
      throw WeightsError(.badPart(number: index + 1, count: count), path: metadata.path)
    }
  }

  /// The path of another part, beside a part whose path has the usual ending; nil where it has not.
  func path(of other: Int, besides path: String) -> String? {
    let ending = ending(index)
    return path.hasSuffix(ending) ? String(path.dropLast(ending.count)) + self.ending(other) : nil
  }

  /// What the name of a part ends in.
  func ending(_ index: Int) -> String {
    func digits(_ number: Int) -> String {
      let text = String(number)
      return String(repeating: "0", count: max(5 - text.count, 0)) + text
    }
    return "-\(digits(index + 1))-of-\(digits(count)).gguf"
  }
}

extension WeightFile {
  /// Adds the tensors of all later parts to those of the first.
  ///
  /// - Throws: where the file is a later part, or a part is missing, in another's place or of another model.
  static func addParts(
    of split: SplitGGUF, to table: inout TensorTable, files: inout [MappedFile]
  ) throws(WeightsError) {
    let first = files[0].path
    guard split.index == 0 else {
      let start = split.path(of: 0, besides: first)
      throw WeightsError(
        .laterPart(number: split.index + 1, count: split.count, first: start, ending: split.ending(0)), path: first)
    }
    for index in 1..<split.count {
      guard let path = split.path(of: index, besides: first) else {
        throw WeightsError(.partName(count: split.count, ending: split.ending(0)), path: first)
      }
      guard FileKind(of: path) != nil else {
        throw WeightsError(.missingPart(number: index + 1, count: split.count, name: path), path: first)
      }
      let file = try MappedFile(path: path)
      guard file.bytes.starts(with: GGUFReader.magic) else { throw WeightsError(.unrecognised, path: path) }
      let reader = try GGUFReader(file, fileIndex: index)
      let part = try SplitGGUF(Metadata(gguf: file, keys: reader.keys, values: reader.values))
      guard let part, part.index == index, part.count == split.count else {
        throw WeightsError(
          .otherPart(
            number: index + 1, count: split.count, foundNumber: part.map { $0.index + 1 }, foundCount: part?.count),
          path: path)
      }
      for tensor in reader.tensors { try table.add(tensor, path: path) }
      files.append(file)
    }
    if let expected = split.tensorCount, expected != table.tensors.count {
      throw WeightsError(.partTensors(found: table.tensors.count, expected: expected), path: first)
    }
  }
}
