import KVCaches
import Kernels

/// The steps of a model worker that can be under way at once, of different sequences, one a lane.
///
/// No sequence is in the steps of two lanes, finished ones included, so that it is known from which step a sequence comes.
struct WorkerLanes {
  struct Lane {
    var step: WorkerStep
    let attention: LocalAttention
  }

  private let model: AttentionModel
  private let team: WorkerTeam
  private let kernels: InstructionSet
  private var lanes: [Lane] = []

  init(_ model: AttentionModel, team: WorkerTeam, kernels: InstructionSet) {
    (self.model, self.team, self.kernels) = (model, team, kernels)
  }

  subscript(lane: Int) -> Lane {
    get { lanes[lane] }
    _modify { yield &lanes[lane] }
  }

  /// Makes what a lane needs, and those in front of it.
  mutating func open(_ lane: Int) {
    precondition(lane < AttentionModel.mostLanes, "a lane that no worker has")
    while lanes.count <= lane {
      lanes.append(
        Lane(
          step: WorkerStep(model, kernels: kernels),
          attention: LocalAttention(layers: model.layers, team: team, kernels: kernels)))
    }
  }

  /// The lane of the step with a number; nil where none has it.
  func lane(ofBatch batch: UInt64) -> Int? { lanes.firstIndex { $0.step.isOf(batch: batch) } }

  /// The lane of the last step of a sequence.
  func lane(of sequence: UInt64) -> Int? { lanes.firstIndex { $0.step.contains(sequence) } }

  /// The lane whose step, under way or just made, comes once more.
  func lane(repeating description: StepDescription) -> Int? { lanes.firstIndex { $0.step.isRepeated(description) } }
}
