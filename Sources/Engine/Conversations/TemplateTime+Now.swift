package import ChatTemplates
import Foundation

extension TemplateTime {
  /// The local time; nil outside of the years that a template can write.
  package static var now: TemplateTime? {
    var seconds = time(nil)
    var local = tm()
    guard localtime_r(&seconds, &local) != nil else { return nil }
    return TemplateTime(
      year: Int(local.tm_year) + 1900, month: Int(local.tm_mon) + 1, day: Int(local.tm_mday), hour: Int(local.tm_hour),
      minute: Int(local.tm_min), second: Int(local.tm_sec))
  }
}
