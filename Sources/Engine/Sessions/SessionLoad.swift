import KVCaches
import ModelJSON
package import SessionStore
import Synchronization

/// A stored session on its way into a sequence, which nobody uses until it has come or failed.
package final class SessionLoad {
  private let checkpointer: SessionCheckpointer
  private let sequence: Sequence
  private let load: ItemLoad
  private let records: Records

  /// What is kept beside a memory, read by the store's thread.
  private final class Records: Sendable {
    let session = Mutex<SessionRecord?>(nil)
    let others = Mutex<[String: [UInt8]]>([:])
  }

  /// - Parameters:
  ///   - names: of further records that are wanted
  ///   - wanted: how many tokens of the sequence are wanted, by their count and these records; nil for all
  ///   - terms: whose `examine` and `wanted` are not called
  init(
    _ checkpointer: SessionCheckpointer, _ fingerprint: Fingerprint, into sequence: Sequence, vocabulary: Int,
    records names: [String], wanted: (@Sendable (_ count: Int, _ record: (String) -> [UInt8]?) -> Int?)?,
    terms: LoadTerms
  ) {
    let records = Records()
    var terms = terms
    terms.examine = { (item, miss) throws(Miss) in
      let session = SessionCheckpointer.record(of: item)
      records.session.withLock { $0 = session }
      if miss == nil {
        // Those who kept it could not hand it out.
        guard item.manifest.hasMemory else { throw .notTaken }
        guard let session, session.sequence.fits(tokens: item.manifest.tokens, vocabulary: vocabulary) else {
          throw .corrupt
        }
      }
      for name in names {
        guard case .some(let bytes?) = try? item.record(name) else { continue }
        records.others.withLock { $0[name] = bytes }
      }
    }
    if let wanted {
      terms.wanted = { item in
        let tokens = Int(item.manifest.tokens)
        guard let count = records.session.withLock({ $0?.sequence.count }) else { return tokens }
        return wanted(count) { name in records.others.withLock { $0[name] } }.map { min($0, tokens) } ?? tokens
      }
    }
    (self.checkpointer, self.sequence, self.records) = (checkpointer, sequence, records)
    load = checkpointer.store.load(checkpointer.key, for: fingerprint, into: sequence.memory, terms: terms)
  }

  /// Whether to `finish` now: so much is there that nothing will be waited for, or no more will come in time.
  package var isReady: Bool { load.isReady }

  /// When it is ready at the latest.
  package var latest: ContinuousClock.Instant? { load.latest }

  /// A record that was asked for.
  package func record(_ name: String) -> [UInt8]? { records.others.withLock { $0[name] } }

  /// Waits until all is there, or will not come in time.
  package func wait() { load.wait() }

  /// Has the sequence go on where the stored one stands; where that fails it is empty.
  package func finish() -> SessionCheckpointer.Found {
    let record = records.session.withLock { $0 }
    do throws(Miss) {
      let item = try load.begin()
      let (read, stored) = (Int(sequence.memory.tokenCount), Int(item.manifest.tokens))
      guard var record, let kept = Self.start(record.sequence, wanted: load.wantedTokens, read: read, of: stored) else {
        load.abandon(load.shortfall ?? .corrupt)
        throw load.shortfall ?? .corrupt
      }
      record.sequence = kept
      sequence.resume(kept)
      checkpointer.note(stored: item.manifest)
      if load.shortfall == .corrupt { checkpointer.noteDamage() }
      let resumption = Resumption.hit(read, from: item.tier, load.shortfall)
      return SessionCheckpointer.Found(resumption: resumption, record: record, item: item)
    } catch {
      if error == .corrupt { checkpointer.noteDamage() }
      sequence.restart()
      return checkpointer.found(instead: error, record, load.item, of: sequence)
    }
  }

  /// How a sequence goes on, of whose memory `read` tokens were taken up where `wanted` were, and `stored` are there.
  private static func start(_ record: SequenceRecord, wanted: Int, read: Int, of stored: Int) -> SequenceRecord? {
    if read == stored { return record }
    return record.start(wanted < stored ? wanted : record.count, read: read)
  }

  /// What has become of the layers that were still to come. Where they did not, the sequence is not to be used until it is
  /// restarted, and the next save writes everything.
  package var outcome: ItemLoad.Outcome {
    let outcome = load.outcome
    if case .failed(let miss) = outcome {
      if miss == .corrupt { checkpointer.noteDamage() } else { checkpointer.note(stored: nil) }
    }
    return outcome
  }

  /// Gives up what is still to come, for a reason that is counted; does nothing where it has failed.
  package func abandon(_ miss: Miss) { load.abandon(miss) }

  /// Gives it up, since nobody wants it any more.
  package func cancel() { load.cancel() }
}
