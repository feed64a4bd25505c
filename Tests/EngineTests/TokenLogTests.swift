import Engine
import Testing

@Suite struct TokenLogTests {
  @Test(arguments: 1...7, 0...20)
  func `the newest ids are kept up to the limit`(limit: Int, appended: Int) {
    var log = TokenLog(limit: limit)
    for id in 0..<appended { log.append(Int32(id)) }
    #expect(log.total == appended)
    #expect(log.count == min(limit, appended))
    #expect((0..<log.count).map { log[back: $0] } == (0..<log.count).map { Int32(appended - 1 - $0) })
  }
}
