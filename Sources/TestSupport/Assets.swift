package import Foundation

/// Material that is too large or too foreign for the repository: `SLUICE_ASSETS`, or `../shared/assets` beside the checkout.
package enum Assets {
  /// The folder of the assets, or nil where this machine has none; tests that need it skip with `Assets.missing`.
  package static let directory: URL? = {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let candidates = [
      ProcessInfo.processInfo.environment["SLUICE_ASSETS"].map { URL(filePath: $0) },
      root.deletingLastPathComponent().appending(path: "shared/assets"),
    ]
    return candidates.compactMap { $0 }.first { FileManager.default.fileExists(atPath: $0.path) }
  }()

  /// Whether the assets are here; use as `.enabled(if: Assets.available, Assets.missing)`.
  package static var available: Bool { directory != nil }

  package static let missing = "no assets: set SLUICE_ASSETS or put them at ../shared/assets"

  /// The path of one asset; call only where `available` is true.
  package static func path(_ relative: String) -> String { directory!.appending(path: relative).path }
}
