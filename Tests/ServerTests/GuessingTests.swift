import Engine
import ModelJSON
import Testing

@testable import Server

/// Answers whose next tokens are guessed are those of a server that guesses nothing.
@Suite struct GuessingTests {
  private static let requests: [JSONValue] = [
    [:], ["temperature": 0.7, "seed": 5], ["logprobs": true, "top_logprobs": 2],
    ["stop": "zz", "logit_bias": ["70": 3]],
    ["response_format": ["type": "json_object"]],
  ]

  @Test(arguments: ["streaming-llm:4+124", "full", "window:64", "h2o:64[positions=clipped]"])
  func guessesChangeNoAnswer(_ plan: String) async throws {
    var answers: [[String]] = []
    for speculation in [Speculation.off, .automatic, .fixed(8)] {
      try await ServerSubject.run(change: { $0.speculation = speculation }) { subject in
        var given: [String] = []
        for request in Self.requests {
          var fields = request.members
          (fields["cache"], fields["max_tokens"]) = (.string(plan), 120)
          let response = try await subject.chat(
            [user(String(repeating: "the sea and the wind ", count: 6))], .object(fields))
          #expect(response.status == 200, "\(response.body)")
          // A step's rounding depends on its rows, so likelihoods are not compared to the last digit.
          given.append(try #require(response.json.content))
        }
        answers.append(given)
        let tried = try #require(try await subject.metric("guesses_total"))
        let confirmed = try #require(try await subject.metric("guesses_confirmed_total"))
        let guesses = speculation == .fixed(8) && !plan.hasPrefix("h2o")
        #expect(guesses ? confirmed > 0 && confirmed <= tried : speculation == .automatic || tried == 0)
      }
    }
    #expect(answers[1] == answers[0] && answers[2] == answers[0])
  }

  @Test func aSetNumberIsTheMost() {
    #expect(Speculation(argument: "auto") == .automatic && Speculation(argument: "off") == .off)
    #expect(Speculation(argument: "16") == .fixed(16))
    for argument in ["0", "17", "-1", "on", ""] { #expect(Speculation(argument: argument) == nil) }
  }
}
