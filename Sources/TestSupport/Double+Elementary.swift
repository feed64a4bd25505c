import Foundation

extension Double {
  package var logarithm: Double { Foundation.log(self) }
  package var cosine: Double { Foundation.cos(self) }
}
