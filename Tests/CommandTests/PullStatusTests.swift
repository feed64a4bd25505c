import ModelHub
import SluiceCommand
import Testing

@Suite struct PullStatusTests {
  @Test func `a pull's line says the file, the bytes, the speed and the rest`() {
    let part = ModelPull.Progress(
      file: "Q8_0/m-00002-of-00003.gguf", number: 2, count: 3, bytes: 300 << 20, total: 1000 << 20)
    let status = PullStatus(progress: part, bytesBefore: 100 << 20)
    #expect(status.done == 200 << 20)
    #expect(status.text(perSecond: nil) == "2 of 3  m-00002-of-00003.gguf  300.0 MiB / 1,000.0 MiB  30 %")
    #expect(status.text(perSecond: Double(10 << 20)).hasSuffix("30 %  10.0 MiB/s  1:10 left"))
    let whole = ModelPull.Progress(file: "m.gguf", number: 1, count: 1, bytes: 5, total: 5)
    #expect(
      PullStatus(progress: whole, bytesBefore: 0).text(perSecond: 1e9)
        == "m.gguf  5 bytes / 5 bytes  100 %  953.7 MiB/s")
    let nothing = ModelPull.Progress(file: "m.gguf", number: 1, count: 1, bytes: 0, total: 0)
    #expect(PullStatus(progress: nothing, bytesBefore: 9).text(perSecond: nil) == "m.gguf  0 bytes / 0 bytes")
    #expect(PullStatus(progress: nothing, bytesBefore: 9).done == 0)
  }
}
