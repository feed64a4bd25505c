import CLibrary
import KVCaches
import Synchronization

/// A network between a model worker and a worker: takes connections, and hands bytes on later and no faster than it is told, in both
/// directions.
///
/// For tests and measurements. What is read waits in memory until it is due, at most `queueBytes` a direction; who sends more is
/// held up.
package final class ShapedRelay: Sendable {
  /// What a network does.
  package struct Shape: Sendable {
    /// From one end to the other, in seconds.
    package var latency: Double
    /// Bytes a second in each direction; nil where nothing holds them up.
    package var rate: Double?

    /// A network that adds nothing.
    package static let none = Shape(latency: 0)

    package init(latency: Double, rate: Double? = nil) { (self.latency, self.rate) = (latency, rate) }
  }

  private static let pieceBytes = 1 << 16
  private static let queueBytes = 64 << 20

  private let listener: SocketListener
  private let target: SocketAddress
  private let shape: Shape

  package var address: SocketAddress { listener.address }

  /// Stands in front of `target`.
  package init(to target: SocketAddress, at address: SocketAddress, _ shape: Shape) throws(OffloadError) {
    (self.target, self.shape) = (target, shape)
    listener = try SocketListener(address)
    guard startThread({ [self] in accept() }) else { throw .badSetting("no thread can be started") }
  }

  package func stop() { listener.close() }

  private func accept() {
    while let near = listener.accept(patience: 0) {
      guard let far = try? SocketChannel.connect(to: target, patience: 0) else {
        near.close()
        continue
      }
      for (source, sink) in [(near, far), (far, near)] {
        let direction = Direction(shape: shape, queueBytes: Self.queueBytes)
        let started = startThread { direction.read(source, pieceBytes: Self.pieceBytes) }
        if !started || !startThread({ direction.write(sink) }) { near.close() }
      }
    }
  }

  /// Bytes on their way in one direction.
  private final class Direction: @unchecked Sendable {
    private struct Piece {
      let bytes: [UInt8]
      /// When it comes out.
      let due: Double
    }

    private let shape: Shape
    private let queueBytes: Int
    private let monitor = Monitor()
    // Guarded by `monitor`.
    private var pieces: [Piece] = []
    private var held = 0
    private var hasEnded = false
    /// When all that was read so far has been put on the wire.
    private var wireFree = 0.0

    init(shape: Shape, queueBytes: Int) {
      (self.shape, self.queueBytes) = (shape, queueBytes)
    }

    func read(_ source: SocketChannel, pieceBytes: Int) {
      var bytes = [UInt8](repeating: 0, count: pieceBytes)
      while true {
        let count = bytes.withUnsafeMutableBytes { source.receiveSome(into: $0) }
        let now = secondsNow()
        monitor.withLock {
          if count <= 0 {
            hasEnded = true
          } else {
            while held > queueBytes { _ = monitor.wait() }
            wireFree = max(wireFree, now) + (shape.rate.map { Double(count) / $0 } ?? 0)
            pieces.append(Piece(bytes: Array(bytes[..<count]), due: wireFree + shape.latency))
            held += count
          }
          monitor.broadcast()
        }
        if count <= 0 { return }
      }
    }

    func write(_ sink: SocketChannel) {
      while true {
        let piece = monitor.withLock {
          while pieces.isEmpty, !hasEnded { _ = monitor.wait() }
          let piece = pieces.isEmpty ? nil : pieces.removeFirst()
          if let piece { held -= piece.bytes.count }
          monitor.broadcast()
          return piece
        }
        guard let piece else { return sink.close() }
        let wait = piece.due - secondsNow()
        if wait > 0 { usleep(UInt32(wait * 1e6)) }
        guard piece.bytes.withUnsafeBytes({ sink.sendSome($0) }) else { return sink.close() }
      }
    }
  }
}
