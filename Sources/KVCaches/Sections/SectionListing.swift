/// A section as whoever saves a cache has to know it before it is read.
package struct SectionListing: Sendable, Hashable {
  package let name: SectionName
  /// How many bytes of it grow or change by themselves, one after another; nil where it is one part, whose length is only known
  /// once it is written.
  package var parts: [Int]?
  package var course = SectionCourse.changing
  /// Whether it can be other than it was.
  package var hasChanged: Bool

  package init(_ name: SectionName, parts: [Int]?, course: SectionCourse = .changing, hasChanged: Bool) {
    (self.name, self.parts, self.course, self.hasChanged) = (name, parts, course, hasChanged)
  }
}

extension KVCache {
  /// All sections, those of heads that are kept elsewhere too, and which of them can have changed since a save.
  ///
  /// - Parameter tokens: how many the cache had seen when it was saved; nil where it never was
  /// - Throws: `KVCacheError` where what is kept elsewhere cannot be had.
  package func listing(sinceSavedAt tokens: Int64?) throws(KVCacheError) -> [SectionListing] {
    let since = tokens.map { min($0, fewestTokens) } ?? -1
    if let distantHeads {
      let recurrent = recurrentSections.map { SectionListing($0, parts: nil, hasChanged: since < tokenCount) }
      return try distantHeads.sections(of: self, changedSince: since) + recurrent
    }
    let changed = Set(tokens == nil ? [] : changedSections(since: since))
    return sections().map {
      SectionListing(
        $0, parts: parts(of: $0), course: course(of: $0), hasChanged: tokens == nil || changed.contains($0))
    }
  }

  /// Sections of slots that are stored here, and which of them can have changed since the cache had seen `tokens` tokens; those of
  /// recurrent states are left out.
  ///
  /// - Parameter tokens: -1 for all
  package func storedSections(changedSince tokens: Int64) -> [SectionListing] {
    let changed = Set(tokens < 0 ? [] : changedSections(since: tokens))
    return sections().filter { $0.group < groups.count && $0.layer >= 0 }.map {
      SectionListing($0, parts: parts(of: $0), hasChanged: tokens < 0 || changed.contains($0))
    }
  }

  /// Whether there is a section of this name, counters and recurrent states aside.
  package func stores(_ name: SectionName) -> Bool {
    guard groups.indices.contains(name.group) else { return false }
    return groups[name.group].stores(name)
  }

  /// Whether the first `tokens` tokens are still those that were saved.
  package func keepsSaved(tokens: Int64) -> Bool { tokens <= min(fewestTokens, tokenCount) }
}

extension HeadGroup {
  fileprivate func stores(_ name: SectionName) -> Bool {
    guard heads.layers.contains(where: { $0.layer == name.layer }) else { return false }
    guard name.state == SectionName.slots else {
      return name.block == 0 && states.contains { $0.isSaved && $0.name == name.state }
    }
    return (0..<slots.blockCount).contains(name.block)
      && slots.usedSlots(ofStepBlock: name.block, by: ledger.stages) != 0
  }
}
