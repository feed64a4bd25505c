// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "Examples",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(name: "sluice", path: "..")
  ],
  targets: [
    .executableTarget(
      name: "StreamText", dependencies: [.product(name: "Sluice", package: "sluice")], path: "StreamText"),
    .executableTarget(
      name: "WriteValue", dependencies: [.product(name: "Sluice", package: "sluice")], path: "WriteValue"),
  ]
)
