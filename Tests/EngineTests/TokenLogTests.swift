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

  @Test(arguments: 1...7, 0...20)
  func `what is removed makes room for other ids`(limit: Int, appended: Int) {
    for removed in 0...min(limit, appended) {
      var log = TokenLog(limit: limit)
      var ids = (0..<Int32(appended)).map { $0 }
      for id in ids { log.append(id) }
      log.removeLast(removed)
      ids.removeLast(removed)
      var kept = min(limit, appended) - removed
      for id in 100..<110 as Range<Int32> {
        #expect(log.total == ids.count && log.count == kept)
        #expect((0..<log.count).map { log[back: $0] } == Array(ids.suffix(log.count).reversed()))
        log.append(id)
        ids.append(id)
        kept = min(limit, kept + 1)
      }
    }
  }
}
