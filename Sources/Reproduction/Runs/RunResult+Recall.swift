import ModelJSON

/// What `evaluate recall --per-point` found under one cache.
struct CacheRecall: Sendable {
  let name: String
  private(set) var shares: [Int: [RecallShare]] = [:]

  init(name: String) { self.name = name }

  /// What cells were sorted by, ascending: tokens of the prompt, or lines back.
  var places: [Int] { shares.keys.sorted() }

  mutating func add(_ share: RecallShare, place: Int) { shares[place, default: []].append(share) }

  /// Over all cells of a place.
  func share(_ place: Int) -> RecallShare { Self.mean(shares[place] ?? []) }

  /// Over all cases.
  var all: RecallShare { Self.mean(shares.values.flatMap { $0 }) }

  private static func mean(_ shares: [RecallShare]) -> RecallShare {
    let cases = shares.map(\.cases).reduce(0, +)
    let weigh = { (value: (RecallShare) -> Double) in
      shares.map { value($0) * Double($0.cases) }.reduce(0, +) / Double(max(cases, 1))
    }
    return RecallShare(exact: weigh(\.exact), digits: weigh(\.digits), cases: cases)
  }
}

extension RunResult {
  /// The cells of all caches, in the order of the caches.
  ///
  /// - Parameter key: what they are sorted by
  func recallTable(by key: String = "length") throws(RunError) -> [CacheRecall] {
    var caches: [CacheRecall] = []
    for line in lines.indices {
      guard let name = lines[line]["cache"]?.string else { throw .missing("cache", line: line, run) }
      if caches.last?.name != name { caches.append(CacheRecall(name: name)) }
      caches[caches.count - 1].add(try recall(line: line), place: Int(try number(key, line: line)))
    }
    return caches
  }

  /// The name of the one text that the run read.
  var text: String? {
    run.words.first { $0.hasSuffix(".txt") }.map { word in String(word.split(separator: "/").last ?? "") }
  }
}
