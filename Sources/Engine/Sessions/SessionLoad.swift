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
  ///   - terms: whose `examine` is not called
  init(
    _ checkpointer: SessionCheckpointer, _ fingerprint: Fingerprint, into sequence: Sequence, vocabulary: Int,
    records names: [String], terms: LoadTerms
  ) {
    let records = Records()
    var terms = terms
    terms.examine = { (item, miss) throws(Miss) in
      let session = SessionCheckpointer.record(of: item)
      records.session.withLock { $0 = session }
      if miss == nil {
        guard let session, session.sequence.fits(tokens: item.manifest.tokens, vocabulary: vocabulary) else {
          throw .corrupt
        }
      }
      for name in names {
        guard case .some(let bytes?) = try? item.record(name) else { continue }
        records.others.withLock { $0[name] = bytes }
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
      guard let record, sequence.memory.tokenCount == item.manifest.tokens else {
        load.abandon(.corrupt)
        throw .corrupt
      }
      sequence.resume(record.sequence)
      checkpointer.note(stored: item.manifest)
      let resumption = Resumption.hit(Int(item.manifest.tokens), from: item.tier)
      return SessionCheckpointer.Found(resumption: resumption, record: record, item: item)
    } catch {
      sequence.restart()
      return checkpointer.found(instead: error, record, load.item, of: sequence)
    }
  }

  /// What has become of the layers that were still to come. Where they did not, the sequence is not to be used until it is
  /// restarted, and the next save writes everything.
  package var outcome: ItemLoad.Outcome {
    let outcome = load.outcome
    if case .failed = outcome { checkpointer.note(stored: nil) }
    return outcome
  }

  /// Gives up what is still to come, for a reason that is counted; does nothing where it has failed.
  package func abandon(_ miss: Miss) { load.abandon(miss) }

  /// Gives it up, since nobody wants it any more.
  package func cancel() { load.cancel() }
}
