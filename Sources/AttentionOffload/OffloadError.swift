/// Why attention in other processes does not go on.
package enum OffloadError: Error, Sendable, Hashable, CustomStringConvertible {
  /// A frame that breaks the protocol.
  case badFrame(String)
  /// The other side does not know the key, or is of another version.
  case notTrusted(String)
  /// What the other side refused, and why.
  case refused(Refusal, String)
  /// The connection ended, or could not be made.
  case lost(String)
  /// An address, a key file or a division that cannot be used.
  case badSetting(String)

  /// Why a worker refuses, as frames number it.
  package enum Refusal: UInt8, Sendable {
    /// A frame that does not fit what came before it.
    case request = 1
    /// The sequence is unknown, or stands elsewhere than the frame says: it has to be read again.
    case sequence = 2
    /// There is no memory for it.
    case memory = 3
  }

  package var description: String {
    switch self {
    case .badFrame(let reason): "bad frame: \(reason)"
    case .notTrusted(let reason): "not trusted: \(reason)"
    case .refused(_, let reason): "refused: \(reason)"
    case .lost(let reason): "lost: \(reason)"
    case .badSetting(let reason): reason
    }
  }
}
