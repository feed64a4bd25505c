extension PublishedSystem {
  /// A headline that no experiment here sets beside a figure, and why.
  package struct Unmeasured: Sendable {
    package let headline: String
    package let reason: String
  }

  package var unmeasured: [Unmeasured] {
    switch self {
    case .streamingLLM:
      [
        Unmeasured(
          headline: "ARC's own questions in a stream, 71.3 % and 55.0 % (Table 5)",
          reason:
            "the data are not here, and a model of 135 million parameters answers them by chance; made-up ones stand for them"
        ),
        Unmeasured(
          headline: "21 tasks of LongBench",
          reason: "the data are not here; StreamEval stands for what a window forgets"),
        Unmeasured(
          headline: "families MPT, Falcon, Pythia, Llama-2",
          reason:
            "their 7 to 70 billion parameters do not fit; tests compare each family with transformers on small models"),
        Unmeasured(
          headline: "models trained with a sink token (Table 3)",
          reason: "see docs/training.md for what was trained here"),
      ]
    case .cascading:
      [
        Unmeasured(headline: "LongBench, 12.13 % above linear baselines", reason: "the data are not here"),
        Unmeasured(
          headline: "BookSum, 4.48 % ROUGE", reason: "a model of this size writes no summary whose ROUGE says something"
        ),
        Unmeasured(headline: "MMLU, 0.6 % (first version)", reason: "this model answers it by chance"),
      ]
    case .snapKV:
      [
        Unmeasured(headline: "16 tasks of LongBench", reason: "the data are not here"),
        Unmeasured(
          headline: "380,000 tokens on one device",
          reason:
            "beyond the trained length of any model that runs here in a night; the memory that makes it possible is measured"
        ),
        Unmeasured(headline: "1.3 times over Medusa", reason: "there are no Medusa heads here"),
      ]
    case .subGen:
      [
        Unmeasured(
          headline: "records of 5,000 to 9,000 tokens",
          reason: "the default model finds one line in four with everything kept (Benchmarks/longeval.py)")
      ]
    case .sketch: []
    case .infini:
      [
        Unmeasured(
          headline: "perplexity of PG19 below Transformer-XL's (Table 2)",
          reason: "asks for training of billions of tokens"),
        Unmeasured(
          headline: "pass keys over 1,000,000 tokens, fine-tuned",
          reason: "see docs/training.md for what was trained here"),
        Unmeasured(headline: "BookSum of 500,000 tokens", reason: "asks for a model of 8 billion parameters"),
      ]
    case .attentionStore:
      [
        Unmeasured(
          headline: "70 % less cost", reason: "follows from prices of one cloud; time and memory are measured instead"),
        Unmeasured(
          headline: "perplexity of truncated caches within 0.02 of reading again",
          reason:
            "keys stand with their clock here, so nothing is re-rotated; see 'streaming-llm' for what truncation costs"),
      ]
    case .lamina:
      [
        Unmeasured(
          headline: "33.0 µs a round trip by RDMA without the host", reason: "there is no such network here")
      ]
    }
  }
}
