/// A model that cannot be run: what is wrong, and where it was found.
public struct ModelError: Error, Sendable, Hashable, CustomStringConvertible {
  private enum Code: Hashable {
    case unknownArchitecture(String, known: [String])
    case unsupported(String)
    case badValue(key: String, reason: String)
    case badTensor(name: String, expected: [Int], got: [Int])
    case unusableTensor(name: String, reason: String)
  }

  private let file: String
  private let code: Code

  package static func unknownArchitecture(_ name: String, known: [String], in file: String) -> Self {
    Self(file: file, code: .unknownArchitecture(name, known: known))
  }

  package static func unsupported(_ what: String, in file: String) -> Self {
    Self(file: file, code: .unsupported(what))
  }

  package static func badValue(_ key: String, _ reason: String, in file: String) -> Self {
    Self(file: file, code: .badValue(key: key, reason: reason))
  }

  package static func badTensor(_ name: String, expected: [Int], got: [Int], in file: String) -> Self {
    Self(file: file, code: .badTensor(name: name, expected: expected, got: got))
  }

  package static func unusableTensor(_ name: String, _ reason: String, in file: String) -> Self {
    Self(file: file, code: .unusableTensor(name: name, reason: reason))
  }

  public var description: String {
    switch code {
    case .unknownArchitecture(let name, let known):
      "\(file): unknown architecture '\(name)'; this version runs \(known.joined(separator: ", "))"
    case .unsupported(let what): "\(file): \(what)"
    case .badValue(let key, let reason): "\(file): '\(key)' \(reason)"
    case .badTensor(let name, let expected, let got):
      "\(file): tensor '\(name)' has shape \(got), but the model needs \(expected)"
    case .unusableTensor(let name, let reason): "\(file): tensor '\(name)' \(reason)"
    }
  }
}
