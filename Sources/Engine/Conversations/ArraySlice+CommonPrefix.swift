import CLibrary

extension ArraySlice<Int32> {
  /// How many of the first numbers both have; a tenth of a nanosecond each, as long as they are equal.
  package func commonPrefix(with other: ArraySlice<Int32>) -> Int {
    withUnsafeBufferPointer { own in
      other.withUnsafeBufferPointer { other in
        let count = Swift.min(own.count, other.count)
        var place = 0
        while place < count {
          let block = Swift.min(Self.block, count - place)
          guard memcmp(own.baseAddress! + place, other.baseAddress! + place, 4 * block) == 0 else { break }
          place += block
        }
        while place < count, own[place] == other[place] { place += 1 }
        return place
      }
    }
  }

  private static var block: Int { 1024 }
}
