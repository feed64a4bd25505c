/// A cache specification, a snapshot or a request that a cache cannot serve.
public struct KVCacheError: Error, Sendable, Hashable, CustomStringConvertible {
  private enum Code: Hashable {
    case badSpecification(String, reason: String)
    case badSnapshot(String)
    case late
    case cannotUndo(String)
    case lostElsewhere(String)
  }

  private let code: Code

  /// A specification, or something that it names, which cannot be used.
  ///
  /// - Parameters:
  ///   - text: what is wrong, as it was written
  ///   - reason: one line, which goes on from it
  public static func badSpecification(_ text: String, _ reason: String) -> Self {
    Self(code: .badSpecification(text, reason: reason))
  }

  package static func badSnapshot(_ reason: String) -> Self { Self(code: .badSnapshot(reason)) }

  /// Layers of a snapshot that were waited for and did not come in time.
  package static var late: Self { Self(code: .late) }

  package static func cannotUndo(_ reason: String) -> Self { Self(code: .cannotUndo(reason)) }

  /// What is kept in other processes cannot be had.
  package static func lostElsewhere(_ reason: String) -> Self { Self(code: .lostElsewhere(reason)) }

  /// Whether it is others who keep heads that cannot serve.
  package var isElsewhere: Bool {
    if case .lostElsewhere = code { true } else { false }
  }

  public var description: String {
    switch code {
    case .badSpecification(let text, let reason): "cache '\(text)': \(reason)"
    case .badSnapshot(let reason): "cache snapshot: \(reason)"
    case .late: "cache snapshot: layers of it did not come in time"
    case .cannotUndo(let reason): "cache undo: \(reason)"
    case .lostElsewhere(let reason): "cache in other processes: \(reason)"
    }
  }
}
