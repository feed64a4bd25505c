import Foundation
import ModelJSON
import TestSupport
import Testing

@testable import Server

/// The page at `/`: its files, and what a person sees in Chromium.
@Suite struct PageTests {
  /// A browser beside a thousand tests in parallel would be waited for in vain: `make test` runs it by itself.
  private static let hasChromium =
    ProcessInfo.processInfo.environment["SLUICE_PAGE_TESTS"] != nil
    && ["/usr/bin", "/usr/local/bin"].contains {
      FileManager.default.isExecutableFile(atPath: "\($0)/chromedriver")
    }

  @Test func filesComeWithAStrictPolicy() async throws {
    try await ServerSubject.run(change: { $0.keys = ["alpha"] }) { subject in
      for (path, file) in PageFile.all {
        let response = try await subject.client.get(path)
        #expect(response.status == 200)
        #expect(response.fields["content-type"] == file.type)
        #expect(Array(response.body.utf8) == file.bytes)
        let policy = try #require(response.fields["content-security-policy"])
        #expect(policy.hasPrefix("default-src 'none'; ") && !policy.contains("unsafe"))
        #expect(try await subject.client.post(path, [:]).status == 405)
      }
      #expect(try await subject.client.get("/page/").status == 401)
    }
  }

  /// Whatever a file asks for is a file of the page, and none of it is written into the page itself.
  @Test func filesNameOnlyEachOther() throws {
    var named: Set<String> = ["/"]
    for (path, file) in PageFile.all {
      let text = String(decoding: file.bytes, as: UTF8.self)
      #expect(!text.contains("innerHTML") && !text.contains(" style=") && !text.contains("onclick="), "\(path)")
      #expect(!text.replacing("http://www.w3.org/2000/svg", with: "").contains("http"), "\(path)")
      for match in text.matches(of: #/"(/page/[^"]+)"/#) { named.insert(String(match.1)) }
    }
    #expect(named == Set(PageFile.all.keys))
  }

  @Test(
    .enabled(if: hasChromium, "needs SLUICE_PAGE_TESTS and what Scripts/install-chromium installs"),
    .timeLimit(.minutes(10)))
  func aPersonUsesIt() async throws {
    let folder = ProcessInfo.processInfo.environment["SLUICE_SCREENSHOTS"].map { [$0] } ?? []
    // Long enough that an answer can be stopped before its end.
    try await ServerSubject.run(TinyModel(trainedLength: 512), change: { $0.keys = ["alpha"] }) { subject in
      let (status, output) = try await PythonClient.run(
        "page_client.py", arguments: [String(subject.server.port), "alpha"] + folder)
      #expect(status == 0, "\(output)")
      #expect(output.contains("ok"))
    }
  }
}
