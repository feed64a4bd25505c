import Foundation
import ModelJSON

/// Values recorded by Scripts/record-golden.py.
enum Golden {
  static let directory = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden")

  static func path(_ name: String) -> String { directory.appending(path: name).path }

  static func json(_ path: String) throws -> JSONValue {
    try JSONValue(parsing: [UInt8](Data(contentsOf: URL(filePath: path))))
  }
}

extension JSONValue {
  var floats: [Float] { (array ?? []).compactMap { $0.double.map { Float($0) } } }
  var integers: [Int] { (array ?? []).compactMap(\.integer) }
  var tokens: [Int32] { integers.map { Int32($0) } }
}
