import CCurl

/// The head of a response.
package struct HTTPHead: Sendable {
  package let status: Int
  /// In the order of arrival, names in lower case.
  let fields: [(name: String, value: String)]

  package init(status: Int, fields: [(name: String, value: String)]) {
    self.status = status
    self.fields = fields
  }

  /// The last field of that name, which is written in lower case.
  subscript(name: String) -> String? { fields.last { $0.name == name }?.value }
}

/// One GET request.
package struct HTTPRequest: Sendable {
  package var url: HubURL
  package var fields: [(name: String, value: String)]
}

/// What a transfer does with what arrives. An error ends the transfer and is its error.
package protocol HTTPReceiver: AnyObject {
  func receive(_ head: HTTPHead) throws(HubError)
  func receive(_ bytes: UnsafeRawBufferPointer) throws(HubError)
}

/// The one door to the network: sends a request, follows nothing, and blocks until the response has ended.
package protocol HTTPTransport: Sendable {
  func send(_ request: HTTPRequest, to receiver: any HTTPReceiver) throws(HubError)
}

/// The system's libcurl, loaded when first used: TLS, proxies and HTTP/2 are those of the machine and nothing is built.
package struct CurlTransport: HTTPTransport {
  /// Seconds without a byte after which a connection counts as broken.
  let stallSeconds: Int
  /// A file of certificates to trust instead of the system's.
  let certificates: String?
  /// Asked at least once a second.
  let isInterrupted: @Sendable () -> Bool

  package init(stallSeconds: Int = 30, certificates: String? = nil, isInterrupted: @escaping @Sendable () -> Bool) {
    self.stallSeconds = stallSeconds
    self.certificates = certificates
    self.isInterrupted = isInterrupted
  }

  package func send(_ request: HTTPRequest, to receiver: any HTTPReceiver) throws(HubError) {
    let host = request.url.host
    let reception = Reception(receiver: receiver, host: host, isInterrupted: isInterrupted)
    var transfer = sluice_transfer()
    transfer.context = Unmanaged.passUnretained(reception).toOpaque()
    transfer.direct = request.url.isLoopback ? 1 : 0
    transfer.connect_seconds = min(30, stallSeconds)
    transfer.stall_seconds = stallSeconds
    transfer.head = { context, line, count in
      Reception.of(context).takeLine(UnsafeRawBufferPointer(start: line, count: count))
    }
    transfer.body = { context, bytes, count in
      Reception.of(context).takeBody(UnsafeRawBufferPointer(start: bytes, count: count))
    }
    transfer.tick = { context in Reception.of(context).isInterrupted() ? 1 : 0 }
    let (result, reason) = perform(&transfer, request)
    if let error = reception.error { throw error }
    switch result {
    case SLUICE_TRANSFER_DONE: break
    case SLUICE_TRANSFER_NO_LIBRARY: throw HubError(.noLibrary)
    case SLUICE_TRANSFER_STOPPED: throw HubError(.interrupted)
    case SLUICE_TRANSFER_UNREACHABLE: throw HubError(.unreachable(host: host, reason: reason))
    case SLUICE_TRANSFER_BROKEN: throw HubError(.broken(host: host, reason: reason))
    default: throw HubError(.failed(host: host, reason: reason))
    }
  }

  private func perform(
    _ transfer: inout sluice_transfer, _ request: HTTPRequest
  ) -> (sluice_transfer_result, String) {
    withExtendedLifetime(request) {
      let texts = [request.url.text, "sluice", certificates ?? ""] + request.fields.map { "\($0.name): \($0.value)" }
      // One block of memory for all texts, each with its zero.
      var bytes: [CChar] = []
      let offsets = texts.map { text in
        defer { bytes += text.utf8.map { CChar(bitPattern: $0) } + [0] }
        return bytes.count
      }
      return bytes.withUnsafeBufferPointer { bytes in
        let pointers: [UnsafePointer<CChar>?] = offsets.map { bytes.baseAddress! + $0 }
        return pointers[3...].withUnsafeBufferPointer { headers in
          transfer.url = pointers[0]
          transfer.user_agent = pointers[1]
          transfer.certificates = certificates == nil ? nil : pointers[2]
          transfer.headers = headers.baseAddress
          transfer.header_count = headers.count
          return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(SLUICE_TRANSFER_ERROR_SIZE)) { error in
            let result = sluice_transfer_perform(&transfer, error.baseAddress)
            return (result, String(cString: error.baseAddress!))
          }
        }
      }
    }
  }
}

/// What one transfer has received, for libcurl's callbacks.
private final class Reception {
  let receiver: any HTTPReceiver
  let host: String
  let isInterrupted: @Sendable () -> Bool
  private(set) var error: HubError?
  private var status: Int?
  private var fields: [(name: String, value: String)] = []
  private var headBytes = 0

  init(receiver: any HTTPReceiver, host: String, isInterrupted: @escaping @Sendable () -> Bool) {
    self.receiver = receiver
    self.host = host
    self.isInterrupted = isInterrupted
  }

  static func of(_ context: UnsafeMutableRawPointer?) -> Reception {
    Unmanaged<Reception>.fromOpaque(context!).takeUnretainedValue()
  }

  /// A line of a head; those of proxies and of informational responses come before the head that counts.
  func takeLine(_ bytes: UnsafeRawBufferPointer) -> Int32 {
    headBytes += bytes.count
    guard headBytes <= 1 << 17 else {
      error = HubError(.failed(host: host, reason: "the head of its answer does not end"))
      return 1
    }
    let line = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).first ?? ""
    if line.hasPrefix("HTTP/") {
      status = line.split(separator: " ").dropFirst().first.flatMap { Int($0) }
      fields = []
    } else if let colon = line.firstIndex(of: ":") {
      let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
      let end = value.lastIndex { $0 != " " && $0 != "\t" }.map { value.index(after: $0) } ?? value.startIndex
      fields.append((line[..<colon].lowercased(), String(value[..<end])))
    } else if line.isEmpty, let status, status >= 200 {
      return keeping { () throws(HubError) in try receiver.receive(HTTPHead(status: status, fields: fields)) }
    }
    return 0
  }

  func takeBody(_ bytes: UnsafeRawBufferPointer) -> Int32 {
    if isInterrupted() { return 1 }
    return keeping { () throws(HubError) in try receiver.receive(bytes) }
  }

  private func keeping(_ body: () throws(HubError) -> Void) -> Int32 {
    do throws(HubError) {
      try body()
      return 0
    } catch {
      self.error = error
      return 1
    }
  }
}
