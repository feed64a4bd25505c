"""Writes a tiny model as a GGUF file, with the names of the gguf package and the reorderings of llama.cpp's converters."""
import gguf
import numpy as np

# Whose rows of queries and keys are stored in the order of interleaved rotary pairs.
INTERLEAVED = {"llama", "mistral3", "granite", "granitemoe", "smollm3"}
# Whose norms take the mean away.
LAYER_NORMS = {"gptneox", "falcon", "mpt", "command-r", "cohere2", "starcoder2", "stablelm", "phi2"}
# Whose norms multiply by 1 + w, which GGUF files hold as it is.
ADDS_ONE = {"gemma", "gemma2", "gemma3", "qwen35", "qwen35moe"}


def write_gguf(path, architecture, config, weights, has_mxfp4=False):
    """F16 matrices, F32 vectors, as the converters write them; experts in MXFP4 where asked for, as of gpt-oss."""
    writer = gguf.GGUFWriter(path, architecture)
    layers = config.num_hidden_layers
    writer.add_name(path.stem)
    writer.add_tokenizer_model("no_vocab")
    write_numbers(writer, architecture, config)
    kind = {value: key for key, value in gguf.MODEL_ARCH_NAMES.items()}[architecture]
    names = gguf.get_tensor_name_map(kind, layers)
    for name, x in stacked(architecture, weights).items():
        if architecture in ADDS_ONE and name.endswith("norm.weight") and "linear_attn.norm" not in name:
            x = x + np.float32(1)
        for target, part in converted(architecture, config, name, x, names):
            if has_mxfp4 and target.endswith("_exps.weight"):
                kind = gguf.GGMLQuantizationType.MXFP4
                writer.add_tensor(target, gguf.quantize(part, kind), raw_dtype=kind)
                continue
            writer.add_tensor(target, part.astype(np.float16) if part.ndim > 1 and "conv" not in target else part)
    for name, x in extra_tensors(architecture, config).items():
        writer.add_tensor(name, x)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def get(config, *names, default=None):
    for name in names:
        try:
            value = getattr(config, name, None)
        except Exception:  # It differs between layers.
            continue
        if value is not None:
            return value
    return default


def write_numbers(writer, architecture, config):
    heads = get(config, "num_attention_heads", "n_heads")
    hidden = get(config, "hidden_size", "d_model")
    kv_heads = get(config, "num_key_value_heads", default=heads)
    if architecture == "falcon":
        kv_heads = config.num_kv_heads if config.new_decoder_architecture else 1 if config.multi_query else heads
    writer.add_block_count(get(config, "num_hidden_layers", "n_layers"))
    writer.add_context_length(get(config, "max_position_embeddings", "max_seq_len"))
    writer.add_embedding_length(hidden)
    writer.add_head_count(heads)
    kinds = get(config, "layer_types", default=[])
    if architecture in ("lfm2", "lfm2moe"):
        kv_heads = [kv_heads if kind == "full_attention" else 0 for kind in kinds]
    feed_forward = get(config, "intermediate_size", "ffn_hidden_size", default=4 * hidden)
    if architecture == "gemma4":
        return write_gemma4(writer, config)
    if get(config, "block_auto_adjust_ff_dim"):
        feed_forward = -(-(2 * feed_forward // 3) // config.block_multiple_of) * config.block_multiple_of
    if config.model_type == "granitemoehybrid":
        feed_forward = config.shared_intermediate_size
    writer.add_feed_forward_length(feed_forward)
    writer.add_head_count_kv(kv_heads)
    if get(config, "head_dim"):
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
    if architecture in LAYER_NORMS:
        writer.add_layer_norm_eps(get(config, "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"))
    else:
        writer.add_layer_norm_rms_eps(get(config, "rms_norm_eps", "norm_eps"))
    write_positions(writer, architecture, config, hidden // heads)
    if get(config, "sliding_window") and "sliding_attention" in kinds:
        writer.add_sliding_window(config.sliding_window)
        if architecture == "olmo2":
            writer.add_sliding_window_pattern([kind == "sliding_attention" for kind in kinds])
    write_experts(writer, architecture, config)
    if architecture in ("gptneox", "stablelm"):
        writer.add_parallel_residual(config.use_parallel_residual)
    if architecture in ("command-r", "cohere2"):
        writer.add_logit_scale(config.logit_scale)
    if architecture == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
    if architecture == "mpt":
        writer.add_max_alibi_bias(config.attn_config.alibi_bias_max)
        if config.attn_config.clip_qkv:
            writer.add_clamp_kqv(config.attn_config.clip_qkv)
    if architecture in ("granite", "granitemoe"):
        writer.add_attention_scale(config.attention_multiplier)
        writer.add_embedding_scale(config.embedding_multiplier)
        writer.add_residual_scale(config.residual_multiplier)
        writer.add_logit_scale(config.logits_scaling)
    if architecture in ("lfm2", "lfm2moe"):
        writer.add_shortconv_l_cache(config.conv_L_cache)
    if architecture.startswith("qwen35"):
        writer.add_ssm_conv_kernel(config.linear_conv_kernel_dim)
        writer.add_ssm_state_size(config.linear_key_head_dim)
        writer.add_ssm_group_count(config.linear_num_key_heads)
        writer.add_ssm_time_step_rank(config.linear_num_value_heads)
        writer.add_ssm_inner_size(config.linear_value_head_dim * config.linear_num_value_heads)
        writer.add_uint32(f"{architecture}.full_attention_interval", kinds.index("full_attention") + 1)


def write_gemma4(writer, config):
    """Layers that see everything have other heads; the last ones have none of their own."""
    kinds, layers = config.layer_types, config.num_hidden_layers
    shared = config.num_kv_shared_layers
    is_global = [kind == "full_attention" for kind in kinds]
    first = config.per_layer_config[is_global.index(True)]
    local = config.per_layer_config[is_global.index(False)]
    wide = 2 if config.use_double_wide_mlp else 1
    writer.add_feed_forward_length(
        [config.intermediate_size * (wide if index >= layers - shared else 1) for index in range(layers)])
    writer.add_head_count_kv([config.per_layer_config[index].num_key_value_heads for index in range(layers)])
    writer.add_key_length(first.head_dim)
    writer.add_value_length(first.head_dim)
    writer.add_uint32("gemma4.attention.key_length_swa", local.head_dim)
    writer.add_uint32("gemma4.attention.value_length_swa", local.head_dim)
    writer.add_rope_dimension_count(first.head_dim)
    writer.add_uint32("gemma4.rope.dimension_count_swa", local.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["full_attention"]["rope_theta"])
    writer.add_float32("gemma4.rope.freq_base_swa", config.rope_parameters["sliding_attention"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_sliding_window(config.sliding_window)
    writer.add_sliding_window_pattern([not value for value in is_global])
    writer.add_uint32("gemma4.attention.shared_kv_layers", shared)
    writer.add_uint32("gemma4.embedding_length_per_layer_input", config.hidden_size_per_layer_input)
    if config.final_logit_softcapping:
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
    if config.enable_moe_block:
        writer.add_expert_count(config.num_experts)
        writer.add_expert_used_count(config.top_k_experts)
        writer.add_expert_feed_forward_length(config.moe_intermediate_size)


def write_positions(writer, architecture, config, head_dim):
    rope = get(config, "rope_parameters")
    if not rope:
        return
    rope = rope.get("full_attention", rope)
    if "rope_theta" in rope:
        writer.add_rope_freq_base(rope["rope_theta"])
    share = rope.get("partial_rotary_factor", 1.0)
    writer.add_rope_dimension_count(int(share * get(config, "head_dim", default=head_dim)))
    if rope.get("rope_type") == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope["factor"])
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if architecture == "mistral3":
        writer.add_rope_scaling_yarn_beta_fast(rope["beta_fast"])
        writer.add_rope_scaling_yarn_beta_slow(rope["beta_slow"])
        writer.add_rope_scaling_yarn_log_mul(rope.get("mscale_all_dim", 0.0))
        writer.add_attn_temperature_scale(rope["llama_4_scaling_beta"])
    if rope.get("rope_type") == "longrope":
        original = rope["original_max_position_embeddings"]
        stretch = config.max_position_embeddings / original
        writer.add_rope_scaling_orig_ctx_len(original)
        writer.add_rope_scaling_attn_factors((1 + np.log(stretch) / np.log(original))**0.5)


def write_experts(writer, architecture, config):
    count = get(config, "num_local_experts", "num_experts")
    if not count:
        return
    writer.add_expert_count(count)
    writer.add_expert_used_count(config.num_experts_per_tok)
    if get(config, "moe_intermediate_size"):
        writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    if get(config, "shared_expert_intermediate_size"):
        writer.add_expert_shared_feed_forward_length(config.shared_expert_intermediate_size)
    if architecture == "lfm2moe":
        writer.add_leading_dense_block_count(config.num_dense_layers)
        writer.add_expert_weights_norm(config.norm_topk_prob)
        writer.add_expert_weights_scale(config.routed_scaling_factor)
        writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)


def stacked(architecture, weights):
    """Matrices of single experts joined, `[expert, rows, columns]`."""
    result, experts = {}, {}
    for name, x in weights.items():
        parts = name.split(".experts.")
        if len(parts) == 2 and parts[1][0].isdigit():
            number, rest = parts[1].split(".", 1)
            experts.setdefault(f"{parts[0]}.experts.{rest}", {})[int(number)] = x
        else:
            result[name] = x
    for name, parts in experts.items():
        result[name] = np.stack([parts[index] for index in range(len(parts))])
    return result


def converted(architecture, config, name, x, names):
    """The tensors that one of Hugging Face's becomes, by their names in the file."""
    def target(name):
        found = names.get_name(name, (".weight", ".bias"))
        assert found, name
        return found

    heads = get(config, "num_attention_heads", "n_heads")
    kv_heads = get(config, "num_key_value_heads", default=heads)
    if architecture in INTERLEAVED and name.split(".")[-2] in ("q_proj", "k_proj"):
        count = heads if ".q_proj" in name else kv_heads
        rows = x.reshape(count, 2, x.shape[0] // count // 2, *x.shape[1:])
        return [(target(name), rows.swapaxes(1, 2).reshape(x.shape))]
    if architecture == "gptneox" and "query_key_value" in name:
        rows = x.reshape(heads, 3, x.shape[0] // heads // 3, *x.shape[1:]).swapaxes(0, 1)
        return [(target(name), rows.reshape(x.shape))]
    if architecture == "falcon" and "query_key_value" in name and config.new_decoder_architecture:
        groups, dim = config.num_kv_heads, config.hidden_size // heads
        rows = x.reshape(groups, heads // groups + 2, dim, x.shape[1])
        parts = [rows[:, :-2], rows[:, -2:-1], rows[:, -1:]]
        return [(target(name), np.concatenate([part.reshape(-1, x.shape[1]) for part in parts]))]
    if architecture == "mixtral" or (architecture == "llama" and ".experts.w" in name):
        layer, part = name.split(".")[2], name.split(".")[-2]
        stem = {"w1": "ffn_gate_exps", "w2": "ffn_down_exps", "w3": "ffn_up_exps"}[part]
        return [(f"blk.{layer}.{stem}.weight", x)]
    if architecture == "granitemoe" and "block_sparse_moe" in name and "router" not in name:
        layer = name.split(".")[2]
        if "output_linear" in name:
            return [(f"blk.{layer}.ffn_down_exps.weight", x)]
        gate, up = np.split(x, 2, axis=1)
        return [(f"blk.{layer}.ffn_gate_exps.weight", gate), (f"blk.{layer}.ffn_up_exps.weight", up)]
    if architecture == "granite" and "shared_mlp" in name:
        layer = name.split(".")[2]
        if "output_linear" in name:
            return [(f"blk.{layer}.ffn_down.weight", x)]
        gate, up = np.split(x, 2)
        return [(f"blk.{layer}.ffn_gate.weight", gate), (f"blk.{layer}.ffn_up.weight", up)]
    if architecture == "gpt-oss" and ".experts." in name:
        layer, part = name.split(".")[2], "bias" if name.endswith("_bias") else "weight"
        y = x if part == "bias" else np.ascontiguousarray(x.swapaxes(1, 2))
        if "down_proj" in name:
            return [(f"blk.{layer}.ffn_down_exps.{part}", y)]
        return [(f"blk.{layer}.ffn_gate_exps.{part}", np.ascontiguousarray(y[:, 0::2])),
                (f"blk.{layer}.ffn_up_exps.{part}", np.ascontiguousarray(y[:, 1::2]))]
    if architecture == "gpt-oss" and name.endswith("self_attn.sinks"):
        return [(f"blk.{name.split('.')[2]}.attn_sinks.weight", x)]
    if architecture in ("lfm2", "lfm2moe"):
        layer = name.split(".")[2]
        if "feed_forward.w" in name or ".experts.w" in name:
            suffix = "_exps" if ".experts." in name else ""
            stem = {"w1": "ffn_gate", "w2": "ffn_down", "w3": "ffn_up"}[name.split(".")[-2]]
            return [(f"blk.{layer}.{stem}{suffix}.weight", x)]
        if name.endswith("expert_bias"):
            return [(f"blk.{layer}.exp_probs_b.bias", x)]
        if name.endswith("conv.conv.weight"):
            return [(target(name), x.squeeze(1))]
    if architecture == "gemma4" and ".layers." in name:
        prefix = f"blk.{name.split('.')[2]}."
        special = {"layer_scalar": "layer_output_scale.weight", "router.scale": "ffn_gate_inp.scale",
                   "router.per_expert_scale": "ffn_down_exps.scale", "router.proj.weight": "ffn_gate_inp.weight",
                   "experts.gate_up_proj": "ffn_gate_up_exps.weight", "experts.down_proj": "ffn_down_exps.weight"}
        for ending, stem in special.items():
            if name.endswith("." + ending):
                return [(prefix + stem, x)]
    if architecture.startswith("qwen35"):
        return recurrent(config, name, x, target)
    return [(target(name), x)]


def recurrent(config, name, x, target):
    """Value heads in the order of their place within a key head, then of the key head."""
    keys, values = config.linear_num_key_heads, config.linear_num_value_heads
    key_dim, value_dim = config.linear_key_head_dim, config.linear_value_head_dim
    order = np.arange(values).reshape(keys, values // keys).T.reshape(-1)

    def rows(x, width):
        return x.reshape(values, width, *x.shape[1:])[order].reshape(x.shape)

    layer = name.split(".")[2] if ".layers." in name else None
    if name.endswith("A_log"):
        return [(f"blk.{layer}.ssm_a", -np.exp(x[order]))]
    if name.endswith("dt_bias"):
        return [(f"blk.{layer}.ssm_dt.bias", x[order])]
    if "in_proj_qkv" in name or "conv1d" in name:
        first = 2 * keys * key_dim
        x = np.concatenate([x[:first], rows(x[first:], value_dim)])
        return [(target(name), x.squeeze(1) if "conv1d" in name else x)]
    if "in_proj_z" in name:
        return [(target(name), rows(x, value_dim))]
    if "in_proj_a" in name or "in_proj_b" in name:
        return [(target(name), rows(x, 1))]
    if "linear_attn.out_proj" in name:
        return [(target(name), np.ascontiguousarray(rows(np.ascontiguousarray(x.T), value_dim).T))]
    return [(target(name), x)]


def extra_tensors(architecture, config):
    rope = get(config, "rope_parameters", default={}) or {}
    if architecture == "gemma4":
        dim = config.per_layer_config[config.layer_types.index("full_attention")].head_dim
        turning = int(rope["full_attention"]["partial_rotary_factor"] * dim) // 2
        return {"rope_freqs.weight": np.array([1.0] * turning + [1e30] * (dim // 2 - turning), np.float32)}
    if rope.get("rope_type") != "longrope":
        return {}
    return {f"rope_factors_{kind}.weight": np.array(rope[f"{kind}_factor"], np.float32) for kind in ("long", "short")}
