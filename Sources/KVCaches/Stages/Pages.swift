/// Every token, of which a token that comes alone reads only few pages: Quest.
///
/// Tokens are kept as `Tokens` keeps them, so memory grows with the stream. Slots are divided into pages, and of each page
/// the smallest and the largest of every key dimension are noted, so that a query can bound the logits of a page without
/// reading it. Each KV head of each layer reads the first page, the newest one, and those with the highest bounds.
///
/// Source: Tang et al., "Quest: Query-Aware Sparsity for Efficient Long-Context LLM Inference", arXiv 2406.10774. As
/// there, chunks of more than one token read everything, and so do the first layers. Deviations: query heads that share
/// a KV head read the same pages, those with the highest bound of any of them; the first page is always read.
public struct Pages: StageSpecification {
  private let reading: PageReading

  /// - Parameters:
  ///   - budget: tokens that a single token reads at most, beside itself
  ///   - page: tokens of a page
  ///   - denseLayers: first layers that read everything
  /// - Precondition: `page` is a power of two from 16 to 1,024, `budget` two or more whole pages.
  public init(_ budget: Int, page: Int = 16, denseLayers: Int = 2) {
    precondition(Self.isPage(page), "a page is a power of two from 16 to 1,024 tokens")
    precondition(budget >= 2 * page && budget % page == 0, "a budget is two or more whole pages")
    precondition(denseLayers >= 0, "a negative count of layers")
    reading = PageReading(budget: budget, page: page, denseLayers: denseLayers)
  }

  public var capacity: Int? { nil }

  public var blueprint: StageBlueprint {
    var blueprint = StageBlueprint { TokensStage() }
    blueprint.showsWholeChunk = true
    blueprint.growth = .even
    blueprint.states = [reading]
    return blueprint
  }

  public var description: String {
    var options: [String] = []
    if reading.page != 16 { options.append("page=\(reading.page)") }
    if reading.denseLayers != 2 { options.append("dense-layers=\(reading.denseLayers)") }
    return "pages:\(reading.budget)" + (options.isEmpty ? "" : "[\(options.joined(separator: ","))]")
  }

  /// Pages must not straddle the blocks of 1,024 slots in which a growing stage lies.
  private static func isPage(_ tokens: Int) -> Bool {
    (16...SlotGrowth.largestBlock).contains(tokens) && tokens.nonzeroBitCount == 1
  }

  static let options = ["page", "dense-layers"]

  static let registration = StageRegistration(name: "pages", form: "pages:BUDGET", options: options) {
    parameters throws(KVCacheError) in try Pages(parameters)
  }

  init(_ parameters: StageParameters) throws(KVCacheError) {
    let budget = try parameters.count("budget", maximum: StageParameters.largestCount, example: 1024)
    var (page, denseLayers) = (16, 2)
    if let text = parameters.options["page"] {
      page = try parameters.number(text, "page", in: 1...StageParameters.largestCount)
      guard Self.isPage(page) else {
        throw parameters.fail("page must be a power of two from 16 to \(SlotGrowth.largestBlock), but is \(page)")
      }
    }
    if let text = parameters.options["dense-layers"] {
      denseLayers = try parameters.number(text, "dense-layers", in: 0...StageParameters.largestCount)
    }
    guard budget >= 2 * page, budget % page == 0 else {
      throw parameters.fail("budget must be two or more whole pages of \(page) tokens, but is \(budget)")
    }
    self.init(budget, page: page, denseLayers: denseLayers)
  }
}
