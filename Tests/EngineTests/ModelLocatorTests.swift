import Engine
import Foundation
import TestSupport
import Testing

@Suite struct ModelLocatorTests {
  @Test func `the directory follows the environment`() {
    let table: [([String: String], String)] = [
      (["SLUICE_MODELS": "/m", "XDG_CACHE_HOME": "/x", "HOME": "/h"], "/m"),
      (["SLUICE_MODELS": "", "XDG_CACHE_HOME": "/x", "HOME": "/h"], "/x/sluice/models"),
      (["XDG_CACHE_HOME": "", "HOME": "/h"], "/h/.cache/sluice/models"), (["HOME": "/h"], "/h/.cache/sluice/models"),
      ([:], "/.cache/sluice/models"),
    ]
    for (environment, directory) in table { #expect(ModelLocator.directory(environment: environment) == directory) }
  }

  @Test func `a model is a path, or the name of a fetched one, or the default`() throws {
    try withTemporaryDirectory { folder in
      try makeDirectory("models", in: folder)
      try makeDirectory("hf", in: folder)
      let environment = ["SLUICE_MODELS": folder + "/models"]
      let locate = { (name: String?) throws(LanguageModelError) in
        try ModelLocator.path(of: name, environment: environment)
      }
      #expect(throws: LanguageModelError.noDefaultModel(directory: folder + "/models")) { try locate(nil) }
      let fetched = try write("x", to: "models/fetched.gguf", in: folder)
      let standard = try write("x", to: "models/" + ModelLocator.defaultModel, in: folder)
      #expect(try locate(nil) == standard)
      #expect(try locate("fetched") == fetched)
      #expect(try locate("fetched.gguf") == fetched)
      #expect(try locate(folder + "/hf") == folder + "/hf")
      for missing in ["", "other", folder + "/fetched", "../models/fetched", "no/such", "/" + "fetched"] {
        #expect(throws: LanguageModelError.notFound(model: missing)) { try locate(missing) }
      }
    }
  }

  @Test func `messages are one line and say what to do`() {
    let text = LanguageModelError.noDefaultModel(directory: "/m").description
    #expect(text.contains("/m") && text.contains("Scripts/fetch-model") && !text.contains("\n"))
  }
}
