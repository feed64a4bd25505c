import TestSupport
import Testing

@testable import ChatTemplates

/// What is found out about templates.
@Suite struct TemplateTraitsTests {
  private func traits(_ name: String) throws -> TemplateTraits {
    let template = try ChatTemplate(try #require(GoldenTemplates.source(name)), name: name)
    return TemplateTraits(of: template, templateTexts: ["bos_token": "<s>", "eos_token": "</s>"])
  }

  @Test func `our own templates`() throws {
    let names = [
      "qwen3", "qwen3.5", "gemma3", "gemma4", "gpt-oss", "phi-4-mini", "ministral3", "granite4", "smollm3", "lfm2",
    ]
    let all = try Dictionary(uniqueKeysWithValues: names.map { ($0, try traits($0)) })
    let having = { (trait: (TemplateTraits) -> Bool) in Set(all.filter { trait($0.value) }.keys) }
    #expect(having(\.acceptsSystem) == Set(names))
    #expect(having(\.acceptsLaterSystem) == ["qwen3", "gemma4", "phi-4-mini", "granite4", "lfm2"])
    #expect(having(\.needsAlternation) == ["gemma3", "ministral3"])
    #expect(having(\.acceptsTools) == Set(names).subtracting(["gemma3"]))
    #expect(having(\.needsSystemForTools) == ["phi-4-mini"])
    #expect(having(\.acceptsToolCalls) == Set(names).subtracting(["gemma3", "smollm3"]))
    #expect(having(\.acceptsReasoning) == ["qwen3", "qwen3.5", "gemma4", "gpt-oss", "ministral3"])
    #expect(having(\.hasThinkingSwitch) == ["qwen3", "qwen3.5", "gemma4", "smollm3"])
    #expect(having(\.hasReasoningEffort) == ["gpt-oss"])
    #expect(having { $0.openedThinking == "<think>" } == ["qwen3.5"])
    #expect(having(\.needsTextArguments).isEmpty && having(\.needsToolList).isEmpty)
    #expect(having(\.needsSingleCalls) == ["gpt-oss"])
    #expect(having { $0.callFrame == nil } == ["gemma3", "smollm3"])
    // Gemma, LFM and Qwen 3.5 write arguments in notations of their own.
    #expect(having { $0.callFrame?.pieces == nil } == ["gemma3", "smollm3", "gemma4", "lfm2", "qwen3.5"])
    let qwen = try #require(all["qwen3"]?.callFrame?.pieces)
    #expect(qwen.beforeName == "<think>\n\n</think>\n\n<tool_call>\n{\"name\": \"")
    #expect(qwen.afterName == "\", \"arguments\": " && qwen.afterArguments == "}\n</tool_call>")
    #expect(qwen.betweenCalls == "}\n</tool_call>\n<tool_call>\n{\"name\": \"")
    #expect(all["gemma4"]?.callFrame?.text == "<|tool_call>call:toolword{a:<|\"|>argword<|\"|>}<tool_call|>")
  }

  @Test(.enabled(if: Assets.available, Comment(rawValue: Assets.missing)))
  func `templates of the assets`() throws {
    let gemma = try traits("google-gemma-2-2b-it")
    #expect(!gemma.acceptsSystem && gemma.needsAlternation && !gemma.acceptsTools)
    let nemo = try traits("mistralai-Mistral-Nemo-Instruct-2407")
    #expect(nemo.acceptsSystem && nemo.needsAlternation && nemo.acceptsTools && nemo.needsShortIdentifiers)
    let deepSeek = try traits("deepseek-ai-DeepSeek-R1-Distill-Qwen-32B")
    #expect(deepSeek.needsTextArguments && deepSeek.needsNullContent && deepSeek.openedThinking == "<think>")
    #expect(!deepSeek.acceptsTools && deepSeek.acceptsToolResults)
    let hermes = try traits("NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use")
    #expect(hermes.needsToolList && hermes.acceptsSystem && hermes.acceptsTools)
    let qwen = try traits("Qwen-Qwen2.5-7B-Instruct")
    #expect(qwen.acceptsSystem && qwen.acceptsLaterSystem && !qwen.needsAlternation && qwen.acceptsTools)
    let functionary = try traits("meetkai-functionary-medium-v3.2")
    #expect(functionary.needsTextArguments && !functionary.needsNullContent)
  }
}
