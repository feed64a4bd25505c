import Foundation
import TestSupport
import Testing

/// `sluice inspect --slices`.
@Suite struct InspectSlicesTests {
  @Test func `a model cut at its attention, for people and as JSON`() throws {
    try withTemporaryDirectory { folder in
      let path = try TinyModel().write(in: folder)
      let result = try Sluice.run(["inspect", "-m", path, "--slices"])
      #expect(result.status == 0 && result.error.isEmpty, "\(result.error)")
      #expect(
        result.output == """
          bytes a token in float32; each slice but the first begins with an attention's result

          slices  queries  keys, values  kept
          ------  -------  ------------  ----
          0           128           128   128
          1           128           128   128
          2

          slice 0
            until queries are sent: embed, attn_norm, attn_q
            until keys and values are sent: attn_k|attn_v
            kept: residual stream

          slice 1
            until queries are sent: +attn_output, ffn_norm, ffn_gate|ffn_up, silu, +ffn_down, attn_norm, attn_q
            until keys and values are sent: attn_k|attn_v
            kept: residual stream

          slice 2
            all: +attn_output, ffn_norm, ffn_gate|ffn_up, silu, +ffn_down, output_norm, output

          """)
      let json = try Sluice.run(["inspect", "-m", path, "--slices", "--json"])
      let object = try #require(try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
      let slices = try #require(object["slices"] as? [[String: Any]])
      #expect(slices.count == 3 && slices[2]["layer"] is NSNull && slices[1]["layer"] as? Int == 1)
      #expect(slices[0]["contextBytes"] as? Int == 128 && slices[0]["storedBytes"] as? Int == 128)
    }
  }
}
