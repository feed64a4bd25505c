import KVCaches

extension ModelMetadata {
  /// What a Qwen 3.5 remembers in place of keys.
  func recurrenceOfQwen35() throws -> (Recurrence, Recurrence.DeltaRule) {
    let keyHeads = try integer(Key("ssm.group_count", huggingFace: "linear_num_key_heads"))
    let valueHeads = try integer(Key("ssm.time_step_rank", huggingFace: "linear_num_value_heads"))
    let keyDim = try integer(Key("ssm.state_size", huggingFace: "linear_key_head_dim"))
    let inner = try integer(ifPresent: Key("ssm.inner_size"))
    let valueDim =
      try integer(ifPresent: Key(huggingFace: "linear_value_head_dim")) ?? (inner ?? 0) / max(valueHeads, 1)
    let span = try integer(Key("ssm.conv_kernel", huggingFace: "linear_conv_kernel_dim"), default: 4)
    let isPossible = [keyHeads, valueHeads, keyDim, valueDim].allSatisfy { (1...4096).contains($0) }
    guard isPossible, valueHeads % keyHeads == 0, (2...64).contains(span) else {
      throw bad("linear attention", "has impossible sizes")
    }
    let rule = Recurrence.DeltaRule(
      keyHeads: keyHeads, valueHeads: valueHeads, keyDim: keyDim, valueDim: valueDim, interleavesHeads: isGGUF)
    return (Recurrence(channels: rule.width, span: span, deltaRule: rule), rule)
  }
}
