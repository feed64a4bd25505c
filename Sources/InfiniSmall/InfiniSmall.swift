import Foundation

/// A small model with Infini-attention (arXiv 2404.07143) that was trained by this project, see docs/training.md.
///
/// ```swift
/// let model = try await LanguageModel(InfiniSmall.path)
/// ```
/// It finds pass keys and named numbers again that stood many segments of 64 tokens before, and is no language model beyond
/// that.
public enum InfiniSmall {
  /// The model's GGUF file, which lies beside the program that was built with this target.
  public static var path: String {
    Bundle.module.bundlePath + "/infini-small.gguf"
  }
}
