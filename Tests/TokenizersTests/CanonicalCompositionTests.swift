import Foundation
import Testing

@testable import Tokenizers

@Suite("Normalization Form C")
struct CanonicalCompositionTests {
  private func composed(_ text: String) -> String {
    var text = text
    var result: [UInt8] = []
    text.withUTF8 { CanonicalComposition.append($0, to: &result) }
    return String(decoding: result, as: UTF8.self)
  }

  @Test("Every scalar below the supplementary planes alone, and after a letter, as Foundation composes it")
  func everyScalar() {
    for value in (0x80 as UInt32)..<0x1_0000 {
      // What the platform's version of Unicode may not know says nothing.
      guard let scalar = Unicode.Scalar(value), let age = scalar.properties.age, age.major < 13 else { continue }
      for text in [String(scalar), "e\(scalar)", "\(scalar)\u{301}\u{323}"] {
        #expect(composed(text).utf8.elementsEqual(text.precomposedStringWithCanonicalMapping.utf8), "\(value)")
      }
    }
  }

  @Test("Random text, as Foundation composes it, and the same where it is cut at a boundary")
  func randomText() {
    for seed in 0..<100 {
      let text = TinyVocabulary.text(scalars: 120, seed: UInt64(seed))
      let expected = text.precomposedStringWithCanonicalMapping
      #expect(composed(text).utf8.elementsEqual(expected.utf8), "seed \(seed)")
      let bytes = Array(text.utf8)
      let cut = bytes.withUnsafeBufferPointer { CanonicalComposition.lastBoundary($0, from: 0, to: bytes.count / 2) }
      let parts = [bytes[..<cut], bytes[cut...]].map { composed(String(decoding: $0, as: UTF8.self)) }
      #expect(parts.joined().utf8.elementsEqual(expected.utf8), "seed \(seed), cut at \(cut)")
    }
  }
}
