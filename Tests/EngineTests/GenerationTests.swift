import Engine
import Foundation
import KVCaches
import Kernels
import Models
import TestSupport
import Testing
import Tokenizers

@Suite struct GenerationTests {
  private let loaded: LanguageModel.Loaded

  init() throws { loaded = try loadTiny(chunk: 16) }

  private func generation(
    _ stream: SingleSequence, _ sampling: SamplingOptions = .greedy, stopStrings: [String] = [], limit: Int? = nil
  ) -> Generation {
    Generation(
      stream.sequence, tokenizer: loaded.tokenizer, sampling: sampling, stopStrings: stopStrings, limit: limit)
  }

  private func prompted(_ plan: String = "full", _ length: Int = 20) throws -> SingleSequence {
    let stream = try loaded.single(plan)
    stream.append(randomIDs(length, seed: 1))
    return stream
  }

  private func text(_ generation: inout Generation, of loaded: LanguageModel.Loaded? = nil) throws -> String {
    var text = ""
    let scheduler = Scheduler(engine: (loaded ?? self.loaded).engine)
    while let piece = try scheduler.next(of: &generation) { text += piece }
    return text
  }

  @Test func `greedy text is the tokens of largest logits`() throws {
    let stream = try prompted()
    var ids: [Int32] = []
    for _ in 0..<30 {
      let logits = stream.logits()
      let id = Int32(logits.indices.max { logits[$0] < logits[$1] } ?? 0)
      ids.append(id)
      stream.append(id)
    }
    let again = try prompted()
    var generation = generation(again, limit: 30)
    #expect(try text(&generation) == loaded.tokenizer.decode(ids))
    #expect(generation.finish == .limit && generation.generatedTokens == 30)
    #expect(try again.scheduler.next(of: &generation) == nil)
  }

  /// Special tokens never show in text, so a text cannot be searched for them.
  @Test func `a stop string that is a special token ends the text`() throws {
    // The token is the answer to everything, but ends nothing by itself.
    let loaded = try loadTiny(TinyModel(biases: [TinyModel.startOfMessage: 30]), chunk: 16)
    let cases: [([String], Generation.Finish, Int)] = [
      ([], .limit, 8), (["<|im_start|>"], .stopString, 0), (["<|im_end|>"], .limit, 8),
      (["x", "<|im_start|>"], .stopString, 0),
    ]
    for (stops, finish, count) in cases {
      let stream = try loaded.single()
      stream.append(randomIDs(20, seed: 1))
      var generation = Generation(
        stream.sequence, tokenizer: loaded.tokenizer, sampling: .greedy, stopStrings: stops, limit: 8)
      #expect(try text(&generation, of: loaded) == "")
      #expect(generation.finish == finish && generation.generatedTokens == count, "\(stops)")
    }
  }

  @Test func `a limit of no tokens computes nothing`() throws {
    let stream = try prompted()
    var generation = generation(stream, limit: 0)
    #expect(try stream.scheduler.next(of: &generation) == nil)
    #expect(generation.finish == .limit)
    #expect(stream.memory.tokenCount == 0 && stream.sequence.waitingTokens == 20)
  }

  @Test(arguments: ["full", "streaming-llm:4+12"])
  func `limits count generated tokens, also past the trained length`(plan: String) throws {
    let stream = try prompted(plan, 120)
    for _ in 0..<3 {
      var generation = generation(stream, limit: 50)
      _ = try text(&generation)
      #expect(generation.generatedTokens == 50 && generation.finish == .limit)
    }
    #expect(stream.sequence.count == 270 && stream.sequence.count > loaded.engine.model.configuration.trainedLength)
    #expect(stream.memory.heldTokens == (plan == "full" ? 269 : 16))
  }

  @Test func `the end token ends the text and is not shown`() throws {
    let ending = try loadTiny(TinyModel(endBias: 20))
    let stream = try ending.single()
    stream.append(randomIDs(5, seed: 2))
    var generation = Generation(stream.sequence, tokenizer: ending.tokenizer, sampling: .greedy)
    #expect(try text(&generation, of: ending) == "")
    #expect(generation.finish == .endOfText && generation.generatedTokens == 0 && stream.sequence.count == 5)
  }

  @Test func `a stop string ends the text before it`() throws {
    var free = generation(try prompted(), limit: 60)
    let whole = try text(&free)
    let characters = Array(whole)
    for (start, length) in [(3, 1), (10, 3), (20, 6)] {
      let stop = String(characters[start..<start + length])
      let end = try #require(whole.range(of: stop)).lowerBound
      var stopped = generation(try prompted(), stopStrings: ["not there", stop], limit: 60)
      #expect(try text(&stopped) == whole[..<end])
      #expect(stopped.finish == .stopString && stopped.generatedTokens < 60)
    }
    var unstopped = generation(try prompted(), stopStrings: [whole + "x"], limit: 60)
    #expect(try text(&unstopped) == whole)
  }

  @Test func `cancelling between chunks keeps what waits for the next text`() throws {
    var whole = generation(try prompted("full", 100), limit: 10)
    let expected = try text(&whole)
    let stream = try prompted("full", 100)
    var asked = 0
    var cancelled = generation(stream, limit: 10)
    let first = try stream.scheduler.next(of: &cancelled) {
      asked += 1
      return asked < 3
    }
    #expect(first == "" && cancelled.finish == .cancelled)
    #expect(stream.memory.tokenCount == 32 && stream.sequence.waitingTokens == 68)
    #expect(try stream.scheduler.next(of: &cancelled) == nil)
    var next = generation(stream, limit: 10)
    #expect(try text(&next) == expected)
  }

  @Test func `characters of several tokens are shown whole`() throws {
    let first = try prompted()
    var random = generation(
      first, SamplingOptions(temperature: 1.5, topK: 0, topP: 1, minP: 0, seed: 3), limit: 400)
    var pieces: [String] = []
    while let piece = try first.scheduler.next(of: &random) { pieces.append(piece) }
    // Random bytes are seldom valid UTF-8, so there is much to repair: pieces must join to what decoding at once gives.
    let stream = try prompted()
    var again = generation(
      stream, SamplingOptions(temperature: 1.5, topK: 0, topP: 1, minP: 0, seed: 3), limit: 400)
    _ = try text(&again)
    let ids = (0..<400).reversed().map { stream.sequence.log[back: $0] }
    #expect(pieces.joined() == loaded.tokenizer.decode(ids))
  }

  @Test func `the same seed writes the same text`() throws {
    func write(_ seed: UInt64) throws -> String {
      var generation = generation(try prompted(), SamplingOptions(temperature: 1, seed: seed), limit: 40)
      return try text(&generation)
    }
    #expect(try write(1) == write(1))
    #expect(try write(1) != write(2))
  }

  @Test(arguments: [SamplingOptions.greedy, SamplingOptions(seed: 1)])
  func `a model without finite logits is an error`(sampling: SamplingOptions) throws {
    let path = "nan.gguf"
    let broken = try withTemporaryDirectory { folder in
      var writer = TinyModel().writer()
      let index = try #require(writer.tensors.firstIndex { $0.name == "output_norm.weight" })
      writer.tensors[index].data = ElementEncoding.float32.encode([Float](repeating: .nan, count: 32))
      return try LanguageModel.Loaded(path: write(writer.bytes(), to: path, in: folder), options: .init(threads: 1))
    }
    let stream = try broken.single()
    stream.append([10])
    var generation = Generation(stream.sequence, tokenizer: broken.tokenizer, sampling: sampling)
    #expect(throws: LanguageModelError.noFiniteLogit) { try stream.scheduler.next(of: &generation) }
  }
}
