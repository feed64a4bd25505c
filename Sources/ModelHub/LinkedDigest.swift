/// Learns a file's digest from the hub's answer to a request for it, where the listing has none: the field `X-Linked-Etag`,
/// or else `ETag`, before any redirect.
final class LinkedDigest: HTTPReceiver {
  static func ask(_ url: HubURL, client: HubClient, file: String, repository: String) throws(HubError) -> ContentDigest
  {
    try client.repeating { () throws(HubError) in
      let receiver = LinkedDigest(client: client, host: url.host, file: file, repository: repository)
      var heads: [HTTPHead] = []
      do throws(HubError) {
        heads = try client.send(url, fields: [("Range", "bytes=0-0")], to: receiver)
      } catch {
        // A hub that knows no ranges sends the whole file, which nobody asked for.
        if receiver.head == nil || error.isInterruption { throw error }
      }
      guard let head = heads.first ?? receiver.head, let digest = digest(head) else {
        throw HubError(.badListing(repository: repository, reason: "\(file) has no digest"))
      }
      return digest
    }
  }

  private static func digest(_ head: HTTPHead) -> ContentDigest? {
    (head["x-linked-etag"] ?? head["etag"]).flatMap { text in
      ContentDigest(String(text.drop { $0 == "W" || $0 == "/" || $0 == "\"" }.prefix { $0 != "\"" }))
    }
  }

  private let client: HubClient
  private let host: String
  private let file: String
  private let repository: String
  private var head: HTTPHead?
  private var ignored = 0

  private init(client: HubClient, host: String, file: String, repository: String) {
    self.client = client
    self.host = host
    self.file = file
    self.repository = repository
  }

  func receive(_ head: HTTPHead) throws(HubError) {
    try client.check(head, host: host, repository: repository, file: file)
    self.head = head
  }

  func receive(_ bytes: UnsafeRawBufferPointer) throws(HubError) {
    ignored += bytes.count
    if ignored > 1 << 16 { throw HubError(.broken(host: host, reason: "nothing more is wanted")) }
  }
}
