import TestSupport
import Testing

@testable import Evaluation

@Suite struct PlotFlagsTests {
  @Test func `no pole crosses a text and no two texts touch, for all sets of up to four markers on a grid`() {
    let positions: [Double] = [60, 100, 180, 181, 400, 700, 780, 800]
    let labels = ["trained length 8,192", "budget", "x"]
    for mask in 1..<(1 << positions.count) where mask.nonzeroBitCount <= 4 {
      let chosen = positions.indices.filter { mask & (1 << $0) != 0 }
      let flags = PlotFlags(chosen.map { (positions[$0], labels[$0 % 3]) }, from: 150, to: 850)
      #expect(flags.placed.count == chosen.count)
      for (index, flag) in flags.placed.enumerated() {
        #expect(flag.textEnd <= 850 && flag.rise <= flags.height)
        if flags.sparesTitle { #expect(min(flag.x, flag.textStart) > 150) }
        for other in flags.placed[(index + 1)...] + flags.placed[..<index] {
          let isCrossed = other.x > flag.textStart && other.x < flag.textEnd && other.rise >= flag.rise
          #expect(!isCrossed, "\(other.label) at \(other.x) crosses \(flag.label) at \(flag.x)")
          let isTouched = other.rise == flag.rise && other.textStart < flag.textEnd && other.textEnd > flag.textStart
          #expect(!isTouched)
        }
      }
    }
  }
}
