package import KVCaches
import SessionStore

/// Sequences whose memory other processes keep.
extension SessionCheckpointer: MemorySource {
  package func savedTokens(of memory: KVCache) -> Int64 {
    guard failure == nil, let stored, memory.keepsSaved(tokens: stored.tokens) else { return 0 }
    return stored.tokens
  }

  package func restore(_ memory: KVCache) -> Bool {
    let tokens = savedTokens(of: memory)
    // What another process has saved meanwhile is of another stream.
    guard tokens > 0, case .success(let item) = store.find(key), item.manifest.generation == stored?.generation else {
      return false
    }
    do throws(Miss) {
      try item.restore(memory, keptTokens: tokens)
    } catch {
      store.noteMiss(error)
      if error == .corrupt { noteDamage() }
      return false
    }
    return true
  }

  /// Has an empty sequence be what is stored; where that fails it stays empty.
  ///
  /// On this thread, which alone may talk to whoever keeps the memory; nothing is computed meanwhile.
  func loadElsewhere(into sequence: Sequence, vocabulary: Int) -> Found {
    switch store.find(key, for: fingerprint(of: sequence.memory)) {
    case .failure(let miss):
      // What was said may still serve.
      guard case .otherModel = miss, let item = try? store.find(key).get() else {
        return found(instead: miss, nil, nil, of: sequence)
      }
      return found(instead: miss, Self.record(of: item), item, of: sequence)
    case .success(let item):
      let record = Self.record(of: item)
      do throws(Miss) {
        guard let record, record.sequence.fits(tokens: item.manifest.tokens, vocabulary: vocabulary) else {
          throw .corrupt
        }
        // Those who kept it could not hand it out.
        guard item.manifest.hasMemory else { throw .notTaken }
        try item.restore(sequence.memory)
        sequence.resume(record.sequence)
        note(stored: item.manifest)
        return Found(resumption: .hit(Int(item.manifest.tokens), from: item.tier), record: record, item: item)
      } catch {
        store.noteMiss(error)
        if error == .corrupt { noteDamage() }
        sequence.restart()
        return found(instead: error, record, item, of: sequence)
      }
    }
  }
}
