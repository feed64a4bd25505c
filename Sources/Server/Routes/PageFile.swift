import NIOHTTP1

/// A file of the page at `/`, part of the program.
struct PageFile: Sendable {
  let type: String
  let bytes: [UInt8]

  /// The files by their paths.
  static let all: [String: PageFile] = [
    "/": PageFile(type: "text/html; charset=utf-8", bytes: PackageResources.index_html),
    "/page/page.css": PageFile(type: "text/css; charset=utf-8", bytes: PackageResources.page_css),
    "/page/icon.svg": PageFile(type: "image/svg+xml", bytes: PackageResources.icon_svg),
    "/page/page.js": script(PackageResources.page_js),
    "/page/transcript.js": script(PackageResources.transcript_js),
    "/page/memory.js": script(PackageResources.memory_js),
    "/page/picture.js": script(PackageResources.picture_js),
    "/page/holding.js": script(PackageResources.holding_js),
    "/page/conversations.js": script(PackageResources.conversations_js),
    "/page/server.js": script(PackageResources.server_js),
  ]

  private static func script(_ bytes: [UInt8]) -> PageFile {
    PageFile(type: "text/javascript; charset=utf-8", bytes: bytes)
  }

  /// Nothing from elsewhere is loaded, and no other page frames this one; a new version of the program is seen at once.
  static let headers = HTTPHeaders([
    (
      "content-security-policy",
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
        + "form-action 'none'; frame-ancestors 'none'"
    ),
    ("referrer-policy", "no-referrer"), ("x-frame-options", "DENY"), ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"), ("cache-control", "no-cache"),
  ])
}
