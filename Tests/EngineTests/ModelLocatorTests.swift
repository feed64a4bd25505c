import Engine
import Foundation
import TestSupport
import Testing

@Suite struct ModelLocatorTests {
  @Test func `the directory follows the environment`() {
    let table: [([String: String], String)] = [
      (["SLUICE_MODELS": "/m", "XDG_CACHE_HOME": "/x", "HOME": "/h"], "/m"),
      (["SLUICE_CACHE": "/c", "XDG_CACHE_HOME": "/x", "HOME": "/h"], "/c/models"),
      (["SLUICE_MODELS": "/m", "SLUICE_CACHE": "/c", "HOME": "/h"], "/m"),
      (["SLUICE_MODELS": "", "SLUICE_CACHE": "", "XDG_CACHE_HOME": "/x", "HOME": "/h"], "/x/sluice/models"),
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
      for missing in ["", "other", folder + "/fetched", "../models/fetched", "no/such.gguf", "/" + "fetched"] {
        #expect(throws: LanguageModelError.notFound(model: missing)) { try locate(missing) }
      }
    }
  }

  @Test func `a pulled model goes by its name, and one that is not here names the command that brings it`() throws {
    try withTemporaryDirectory { folder in
      let environment = ["SLUICE_MODELS": folder + "/models", "HF_HOME": folder + "/hf"]
      for path in ["models", "models/o", "models/o/r", "models/o/r/.sluice"] { try makeDirectory(path, in: folder) }
      let file = try write("weights", to: "models/o/r/r-Q8_0.gguf", in: folder)
      try write(
        """
        {"version": 1, "models": [{"quantization": "Q8_0", "isDefault": false, "revision": "main", "commit": "c",
        "files": [{"path": "r-Q8_0.gguf", "size": 7, "digest": null}]}]}
        """, to: "models/o/r/.sluice/pulled.json", in: folder)
      let locate = { (name: String) throws(LanguageModelError) in
        try ModelLocator.path(of: name, environment: environment)
      }
      for name in ["o/r", "o/r:Q8_0", "o/r:q8_0", "hf.co/o/r"] { #expect(try locate(name) == file) }
      for (name, says) in [("o/other", "sluice pull o/other"), ("o/r:Q4_0", "sluice pull o/r:Q4_0")] {
        let error = #expect(throws: LanguageModelError.self) { try locate(name) }
        #expect(error?.description.contains("'\(says)'") == true)
      }
      try write("weight", to: "models/o/r/r-Q8_0.gguf", in: folder)
      let error = #expect(throws: LanguageModelError.self) { try locate("o/r") }
      #expect(error?.description.contains("in part only") == true)
    }
  }

  @Test func `messages are one line and say what to do`() {
    let text = LanguageModelError.noDefaultModel(directory: "/m").description
    #expect(text.contains("/m") && text.contains("Scripts/fetch-model") && !text.contains("\n"))
  }
}
