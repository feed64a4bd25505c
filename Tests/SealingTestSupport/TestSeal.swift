package import SessionStore

/// What tests seal stores with: a double, and AES-GCM in builds that have it.
package enum TestSeal: String, CaseIterable, Sendable, CustomStringConvertible {
  case double
  #if Sealing
    case aes
  #endif

  package var description: String { rawValue }

  /// - Parameter byte: what the key consists of
  package func seal(key byte: UInt8 = 1) throws -> StoreSeal {
    let key = try SessionKey([UInt8](repeating: byte, count: 32))
    switch self {
    case .double: return StoreSeal(key) { DoubleSealer(key: $0) }
    #if Sealing
      case .aes: return StoreSeal(key) { AESSealer(key: $0) }
    #endif
    }
  }
}
