import Foundation

/// Writes bytes to a file in a folder and gives its path.
@discardableResult
package func write(_ bytes: [UInt8], to name: String, in folder: String) throws -> String {
  let path = folder + "/" + name
  try Data(bytes).write(to: URL(filePath: path))
  return path
}

/// Writes a text to a file in a folder and gives its path.
@discardableResult
package func write(_ text: String, to name: String, in folder: String) throws -> String {
  try write(Array(text.utf8), to: name, in: folder)
}

package func makeDirectory(_ name: String, in folder: String) throws {
  try FileManager.default.createDirectory(atPath: folder + "/" + name, withIntermediateDirectories: false)
}
