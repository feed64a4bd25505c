// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

// Tests run in debug: without these a kernel is 10 to 50 times slower there (docs/design.md, "Debug builds").
let fast = strict + [.unsafeFlags(["-O"], .when(configuration: .debug))]
let fastC: [CSetting] = [.unsafeFlags(["-O3"], .when(configuration: .debug))]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
  name: "sluice",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "Sluice", targets: ["Sluice"]),
    // A model of 0.7 MB, for those who ask for it.
    .library(name: "InfiniSmall", targets: ["InfiniSmall"]),
    .executable(name: "sluice", targets: ["SluiceCommand"]),
    // A program of its own, so that building "sluice" does not build SwiftNIO.
    .executable(name: "sluice-serve", targets: ["ServerCommand"]),
  ],
  traits: [
    .trait(
      name: "Sealing", description: "Stored sessions can be sealed with a key (AES-GCM, by swift-crypto).")
  ],
  dependencies: [
    // Neither fetched nor resolved while the trait is off.
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
  ],
  targets: [
    .target(name: "CKernels", cSettings: fastC),
    .target(name: "CLibrary", swiftSettings: strict),
    // dlopen is in a library of its own before glibc 2.34.
    .target(name: "CCurl", linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
    .target(name: "Kernels", dependencies: ["CKernels", "CLibrary"], swiftSettings: fast),
    .target(name: "ModelJSON", dependencies: ["CLibrary"], swiftSettings: fast),
    .target(name: "Constraints", dependencies: ["ModelJSON"], swiftSettings: fast),
    .target(name: "Weights", dependencies: ["CLibrary", "Kernels", "ModelJSON"], swiftSettings: fast),
    .target(name: "Tokenizers", dependencies: ["ModelJSON"], swiftSettings: fast),
    .target(name: "ChatTemplates", dependencies: ["CLibrary", "ModelJSON"], swiftSettings: fast),
    .target(name: "KVCaches", dependencies: ["CLibrary", "Kernels"], swiftSettings: fast),
    .target(name: "AttentionOffload", dependencies: ["CLibrary", "Kernels", "KVCaches"], swiftSettings: fast),
    // As CCurl: looked up when the first store on disk is opened.
    .target(name: "CSQLite", linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
    .target(
      name: "SessionStore",
      dependencies: [
        "CSQLite", "CLibrary", "Kernels", "KVCaches",
        .product(name: "Crypto", package: "swift-crypto", condition: .when(traits: ["Sealing"])),
      ],
      swiftSettings: fast),
    .target(name: "Models", dependencies: ["CLibrary", "Kernels", "Weights", "KVCaches"], swiftSettings: fast),
    .target(name: "ModelHub", dependencies: ["CCurl", "CLibrary", "Kernels", "ModelJSON"], swiftSettings: strict),
    .target(
      name: "Engine",
      dependencies: [
        "CLibrary", "Kernels", "ModelJSON", "ModelHub", "Weights", "KVCaches", "Models", "Tokenizers", "ChatTemplates",
        "Constraints", "SessionStore",
      ],
      swiftSettings: fast),
    .target(
      name: "Evaluation",
      dependencies: ["CLibrary", "Kernels", "ModelJSON", "Tokenizers", "KVCaches", "SessionStore", "Models", "Engine"],
      swiftSettings: fast),
    .target(name: "InfiniSmall", resources: [.copy("infini-small.gguf")], swiftSettings: strict),
    .target(name: "Simulation", dependencies: ["CLibrary", "Kernels"], swiftSettings: fast),
    .target(name: "Sluice", dependencies: ["Engine", "KVCaches", "SessionStore"], swiftSettings: strict),
    .target(
      name: "Reproduction", dependencies: ["CLibrary", "Kernels", "ModelJSON", "Evaluation"], swiftSettings: strict),
    .executableTarget(
      name: "SluiceCommand",
      dependencies: [
        "CLibrary", "Kernels", "ModelJSON", "Weights", "Tokenizers", "ChatTemplates", "KVCaches", "Models", "ModelHub",
        "AttentionOffload", "SessionStore", "Engine", "Evaluation", "Reproduction", "Simulation", "InfiniSmall",
        argumentParser,
      ],
      swiftSettings: strict),
    .target(
      name: "SessionRedis",
      dependencies: [
        "SessionStore", .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      swiftSettings: strict),
    .target(
      name: "Server",
      dependencies: [
        "CLibrary", "Kernels", "ModelJSON", "Tokenizers", "ChatTemplates", "KVCaches", "Models", "SessionStore",
        "Constraints", "Engine",
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"), .product(name: "Logging", package: "swift-log"),
      ],
      resources: [.embedInCode("Page"), .embedInCode("OpenAPI")], swiftSettings: strict),
    .executableTarget(
      name: "ServerCommand",
      dependencies: [
        "Engine", "KVCaches", "ModelJSON", "Server", "SessionRedis", "SessionStore", argumentParser,
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict),
    .target(name: "TestSupport", dependencies: ["Kernels"], swiftSettings: fast),
    .target(
      name: "HubTestSupport", dependencies: ["ModelHub", "Kernels"], path: "Tests/HubTestSupport",
      swiftSettings: strict),
    .testTarget(
      name: "ModelHubTests", dependencies: ["ModelHub", "Kernels", "HubTestSupport", "TestSupport"],
      swiftSettings: strict),
    .testTarget(name: "KernelsTests", dependencies: ["Kernels", "CKernels", "TestSupport"], swiftSettings: fast),
    .testTarget(name: "ModelJSONTests", dependencies: ["ModelJSON", "Kernels", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "ConstraintsTests",
      dependencies: ["Constraints", "ModelJSON", "Tokenizers", "Kernels", "TestSupport", "CAllocationCounter"],
      resources: [.copy("Golden")], swiftSettings: fast),
    .testTarget(name: "WeightsTests", dependencies: ["Weights", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "TokenizersTests", dependencies: ["Tokenizers", "Weights", "Engine", "Kernels", "TestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "ChatTemplatesTests", dependencies: ["ChatTemplates", "Kernels", "ModelJSON", "TestSupport"],
      exclude: ["Golden", "Templates"], swiftSettings: strict),
    .target(name: "CAllocationCounter", path: "Tests/CAllocationCounter"),
    .target(
      name: "CacheTestSupport", dependencies: ["KVCaches", "Kernels", "TestSupport"], path: "Tests/CacheTestSupport",
      swiftSettings: fast),
    .testTarget(
      name: "KVCachesTests",
      dependencies: ["KVCaches", "Kernels", "Evaluation", "TestSupport", "CacheTestSupport", "CAllocationCounter"],
      swiftSettings: fast),
    .target(
      name: "SealingTestSupport", dependencies: ["SessionStore", "Kernels"], path: "Tests/SealingTestSupport",
      swiftSettings: fast),
    // Killed by a test in the middle of its saves.
    .executableTarget(
      name: "SessionWriterProcess", dependencies: ["SessionStore", "SessionRedis", "CLibrary", "Kernels"],
      path: "Tests/SessionWriterProcess", swiftSettings: strict),
    .target(
      name: "SessionWriterSupport", dependencies: ["SessionWriterProcess"], path: "Tests/SessionWriterSupport",
      swiftSettings: strict),
    .testTarget(
      name: "SessionStoreTests",
      dependencies: [
        "SessionStore", "SessionWriterSupport", "SealingTestSupport", "KVCaches", "Kernels", "CacheTestSupport",
        "TestSupport",
      ],
      swiftSettings: fast),
    .testTarget(
      name: "ModelsTests",
      dependencies: ["Models", "Kernels", "KVCaches", "Weights", "ModelJSON", "TestSupport", "CacheTestSupport"],
      resources: [.copy("Golden")], swiftSettings: fast),
    // What a test imports is named here even where it comes with something else: it is rebuilt when that changes.
    .testTarget(
      name: "EngineTests",
      dependencies: [
        "Engine", "Kernels", "KVCaches", "ModelHub", "ModelJSON", "Models", "Tokenizers", "ChatTemplates", "Weights",
        "Constraints", "SessionStore", "TestSupport", "CacheTestSupport", "CAllocationCounter",
      ],
      swiftSettings: strict),
    // Killed by tests in the middle of a generation.
    .executableTarget(
      name: "AttentionWorkerProcess", dependencies: ["AttentionOffload", "CLibrary", "Kernels"],
      path: "Tests/AttentionWorkerProcess", swiftSettings: strict),
    .testTarget(
      name: "AttentionOffloadTests",
      dependencies: [
        "AttentionOffload", "AttentionWorkerProcess", "KVCaches", "Kernels", "CLibrary", "Models", "Weights", "Engine",
        "ModelJSON", "SessionStore", "TestSupport", "CacheTestSupport",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "EvaluationTests",
      dependencies: [
        "Evaluation", "Engine", "Kernels", "KVCaches", "ModelJSON", "Models", "SessionStore", "Tokenizers",
        "TestSupport", "CacheTestSupport",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "InfiniSmallTests",
      dependencies: ["InfiniSmall", "Engine", "KVCaches", "Kernels", "ModelJSON", "Models", "Tokenizers"],
      resources: [.copy("Golden")], swiftSettings: strict),
    .testTarget(name: "SimulationTests", dependencies: ["Simulation", "Kernels"], swiftSettings: fast),
    .testTarget(
      name: "ReproductionTests", dependencies: ["Reproduction", "Evaluation", "ModelJSON"], swiftSettings: strict),
    .testTarget(
      name: "SessionRedisTests",
      dependencies: [
        "SessionRedis", "SessionStore", "SessionWriterSupport", "SealingTestSupport", "Kernels", "KVCaches",
        "CacheTestSupport", .product(name: "NIOCore", package: "swift-nio"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "ServerTests",
      dependencies: [
        "Server", "Engine", "Kernels", "KVCaches", "ModelJSON", "SessionStore", "Tokenizers", "ChatTemplates",
        "Constraints", "SealingTestSupport", "TestSupport",
      ],
      resources: [.copy("Clients")], swiftSettings: strict),
    .testTarget(
      name: "CommandTests",
      dependencies: [
        "SluiceCommand", "ServerCommand", "Kernels", "ModelHub", "ModelJSON", "Reproduction", "SessionStore",
        "HubTestSupport", "TestSupport", argumentParser, .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6]
)
