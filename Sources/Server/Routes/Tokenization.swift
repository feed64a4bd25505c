import Engine
import ModelJSON
import Tokenizers

/// `/tokenize`, `/detokenize` and `/apply-template`, as llama-server has them.
extension Routes {
  func tokenize(_ body: JSONValue) throws -> HTTPResponse {
    var fields = try RequestFields(body)
    guard let content = try fields.string("content") else { throw RequestError.bad("content", "'content' is missing") }
    let addsSpecial = try fields.bool("add_special") ?? false
    let parsesSpecial = try fields.bool("parse_special") ?? false
    try fields.finish()
    var ids = model.tokenizer.encode(content, special: parsesSpecial ? .parse : .plainText)
    if addsSpecial, model.tokenizer.addsBeginOfSequence, let begin = model.tokenizer.beginOfSequence {
      ids.insert(begin, at: 0)
    }
    return .json(["tokens": .array(ids.map { JSONValue(Int($0)) })])
  }

  func detokenize(_ body: JSONValue) throws -> HTTPResponse {
    var fields = try RequestFields(body)
    guard let tokens = try fields.array("tokens") else { throw RequestError.bad("tokens", "'tokens' is missing") }
    try fields.finish()
    return .json(["content": .string(model.tokenizer.decode(try ids(tokens, "tokens"), skipsSpecial: false))])
  }

  func applyTemplate(_ body: JSONValue, owner: Int) throws -> HTTPResponse {
    var fields = try RequestFields(body)
    let chat = try ChatFields(&fields)
    fields.ignore(["model"])
    try fields.refuse(["response_format"]) { $0["type"]?.string == "text" }
    try fields.finish()
    let rendered = try chat.render(chat.messages, model, owner: owner)
    return .json(["prompt": .string(String(decoding: rendered.prompt.bytes, as: UTF8.self))])
  }
}
