import ArgumentParser

struct SimulateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate",
    abstract: "Simulate attention on other machines: what it gives, costs and bears.",
    discussion: """
      A discrete-event model of machines that hold weights, machines that hold keys and values and attend to them, and what
      lies between (Lamina, arXiv 2405.01814). Times come from rooflines of devices, or from curves that were measured here.
      Nothing is sent, and no model is read but by 'calibrate' and 'check'. docs/simulation.md says what comes out.
      """,
    subcommands: [
      CompareCommand.self, BestCommand.self, LengthsCommand.self, FleetCommand.self, CalibrateCommand.self,
      CheckCommand.self,
    ])
}
