package import Constraints
package import ModelHub

/// Something a language model was asked to do and cannot.
public struct LanguageModelError: Error, Sendable, Hashable, CustomStringConvertible {
  private enum Code: Hashable {
    case notFound(model: String)
    case notPulled(HubError)
    case noDefaultModel(directory: String)
    case noTokenizer(directory: String)
    case noChatTemplate
    case malformed(String, reason: String)
    case noFiniteLogit
    case constraintNotKept
    case badSchema(ConstraintError)
    case notDecoded(type: String, reason: String)
    case badOptions(String)
    case superseded
    case notSaved(String)
  }

  private let code: Code

  package static func notFound(model: String) -> Self { Self(code: .notFound(model: model)) }
  package static func notPulled(_ error: HubError) -> Self { Self(code: .notPulled(error)) }
  package static func noDefaultModel(directory: String) -> Self { Self(code: .noDefaultModel(directory: directory)) }
  package static func noTokenizer(directory: String) -> Self { Self(code: .noTokenizer(directory: directory)) }
  package static let noChatTemplate = Self(code: .noChatTemplate)
  package static func malformed(_ path: String, _ reason: String) -> Self {
    Self(code: .malformed(path, reason: reason))
  }
  package static let noFiniteLogit = Self(code: .noFiniteLogit)
  package static let constraintNotKept = Self(code: .constraintNotKept)
  package static func badSchema(_ error: ConstraintError) -> Self { Self(code: .badSchema(error)) }
  package static func notDecoded(_ type: String, _ reason: String) -> Self {
    Self(code: .notDecoded(type: type, reason: reason))
  }
  package static func badOptions(_ reason: String) -> Self { Self(code: .badOptions(reason)) }
  package static func notSaved(_ reason: String) -> Self { Self(code: .notSaved(reason)) }
  package static let superseded = Self(code: .superseded)

  public var description: String {
    switch code {
    case .notFound(let model): "no model at '\(model)', and none of that name was fetched"
    case .notPulled(let error): error.description
    case .noDefaultModel(let directory):
      "the default model is not in \(directory); get it with 'make model' or Scripts/fetch-model, or name one with -m"
    case .noTokenizer(let directory): "\(directory): there is no tokenizer.json beside the weights"
    case .noChatTemplate:
      "this model's files say nothing of how messages are written; name a template with --chat-template"
    case .malformed(let path, let reason): "\(path): \(reason)"
    case .noFiniteLogit: "the model gave no finite logit; its weights or its cache are broken"
    case .constraintNotKept:
      "no token of the model's vocabulary continues the document that was asked for, or its schema needs too many states"
    case .badSchema(let error): error.description
    case .notDecoded(let type, let reason): "the answer is no \(type): \(reason)"
    case .badOptions(let reason): reason
    case .notSaved(let reason): "the session was not saved: \(reason)"
    case .superseded: "a newer request of the same session replaced this one"
    }
  }
}
