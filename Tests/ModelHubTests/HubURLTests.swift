import ModelHub
import Testing

/// Addresses by which credentials are sent or not: exact, and nothing guessed.
@Suite struct HubURLTests {
  @Test(arguments: [
    ("https://Hub.Example", "https://hub.example", "/"), ("http://h:8080/a/b?c=d#e", "http://h:8080", "/a/b?c=d"),
    ("https://h:443/x", "https://h", "/x"), ("http://h:443/x", "http://h:443", "/x"),
    ("HTTPS://h?q", "https://h", "/?q"),
    ("http://[::1]:80/x", "http://[::1]", "/x"),
  ])
  func `an address has an origin and a path`(text: String, origin: String, path: String) throws {
    let url = try #require(HubURL(text))
    #expect(url.origin == origin && url.path == path)
  }

  @Test(arguments: [
    "", "h", "ftp://h", "file:///x", "https://", "https:///x", "https://user@h/x", "https://h:x/", "https://h:0",
    "https://h:70000",
    "https://h:1:2/", "https://a b/", "https://h/\n", "https://h\\@g/", "https://h/ü", "https://ü/", "http:/h",
    "https://h:+80/",
  ])
  func `what is none is refused`(text: String) { #expect(HubURL(text) == nil) }

  @Test(arguments: [
    ("/x?y", "https://h:1/x?y"), ("x", "https://h:1/a/x"), ("//g/x", "https://g/x"), ("http://g", "http://g/"),
    ("HTTPS://g/x", "https://g/x"), ("?q", "https://h:1/a/?q"), ("ftp://g", nil), ("file:x", nil),
    ("javascript:x", nil),
  ])
  func `a reference leads on from an address`(reference: String, text: String?) throws {
    #expect(try #require(HubURL("https://h:1/a/b?c/d")).resolving(reference)?.text == text)
  }

  @Test(arguments: [
    ("http://127.0.0.1", true), ("http://127.9.0.1:5", true), ("http://localhost", true), ("http://[::1]", true),
    ("http://127.0.0.1.example", false), ("http://127.1", false), ("http://localhost.example", false),
    ("http://128.0.0.1", false),
  ])
  func `this machine is known by its addresses`(text: String, isLoopback: Bool) throws {
    #expect(try #require(HubURL(text)).isLoopback == isLoopback)
  }

  @Test(arguments: [
    ("http://hub.example", "hf_x", "https"), ("https://h", "a\r\nHost: b", "no access token"),
    ("https://h", "hf ü", "no access token"), ("h", nil, "no address"), ("https://h/x?y", nil, "no address"),
  ])
  func `a token stays here where it cannot travel`(endpoint: String, token: String?, says: String) throws {
    let error = #expect(throws: HubError.self) {
      try HubAccess(endpoint: endpoint, environment: token.map { ["HF_TOKEN": $0] } ?? [:])
    }
    #expect(String(describing: try #require(error)).contains(says))
  }

  @Test func `the endpoint named goes before that of the environment, and that before Hugging Face`() throws {
    let environment = ["HF_ENDPOINT": "https://mirror.example/hf/"]
    #expect(try HubAccess(endpoint: "https://h/", environment: environment).endpoint.text == "https://h/")
    #expect(try HubAccess(endpoint: nil, environment: environment).endpoint.text == "https://mirror.example/hf")
    #expect(try HubAccess(endpoint: nil, environment: [:]).endpoint.text == "https://huggingface.co/")
  }
}
