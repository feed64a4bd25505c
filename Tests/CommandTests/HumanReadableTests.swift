import SluiceCommand
import Testing

@Suite struct HumanReadableTests {
  @Test(arguments: [
    (0, "0 bytes"), (1, "1 byte"), (1023, "1,023 bytes"), (1024, "1.0 KiB"), (1536, "1.5 KiB"),
    (1_048_524, "1,023.9 KiB"), (1_048_575, "1.0 MiB"), (24_222_108, "23.1 MiB"), (1_073_741_823, "1.0 GiB"),
    (-2048, "-2.0 KiB"), (Int.max, "8.0 EiB"), (Int.min, "-8.0 EiB"),
  ])
  func `bytes are written in the largest unit that keeps them above one`(bytes: Int, text: String) {
    #expect(HumanReadable.bytes(bytes) == text)
  }

  @Test(arguments: [
    (0, "0"), (7, "7"), (999, "999"), (1000, "1,000"), (-1000, "-1,000"), (-999, "-999"), (123_456, "123,456"),
    (1_000_000, "1,000,000"), (Int.min, "-9,223,372,036,854,775,808"),
  ])
  func `thousands are separated`(value: Int, text: String) {
    #expect(HumanReadable.count(value) == text)
  }

  @Test func `tokens, rates and durations`() {
    #expect(HumanReadable.tokens(1) == "1 token")
    #expect(HumanReadable.tokens(0) == "0 tokens")
    #expect(HumanReadable.tokens(UInt64(1_000_000)) == "1,000,000 tokens")
    #expect(HumanReadable.rate(tokensPerSecond: 7.26) == "7.3 tokens/s")
    #expect(HumanReadable.rate(tokensPerSecond: 9.96) == "10 tokens/s")
    #expect(HumanReadable.rate(tokensPerSecond: 1234.4) == "1,234 tokens/s")
    #expect(HumanReadable.duration(.seconds(7)) == "0:07")
    #expect(HumanReadable.duration(.milliseconds(59_999)) == "0:59")
    #expect(HumanReadable.duration(.seconds(3723)) == "1:02:03")
    #expect(HumanReadable.duration(.seconds(-5)) == "0:00")
  }

  @Test func `decimals are fixed and never lose their sign or their zeros`() {
    #expect(HumanReadable.decimal(42.136, places: 2) == "42.14")
    #expect(HumanReadable.decimal(0.999, places: 2) == "1.00")
    #expect(HumanReadable.decimal(-0.001, places: 2) == "0.00")
    #expect(HumanReadable.decimal(-1234.05, places: 1) == "-1,234.1")
    #expect(HumanReadable.decimal(3.007, places: 3) == "3.007")
    #expect(HumanReadable.decimal(.nan, places: 2) == "not a number")
    #expect(HumanReadable.decimal(-.infinity, places: 2) == "-infinite")
    #expect(HumanReadable.decimal(1e30, places: 2) == "1e+30")
  }
}
