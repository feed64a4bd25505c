"""The same model in numpy, float64, one token after another, as written in the papers: no code is shared."""

import numpy


def sigma(x):
    return numpy.where(x > 0, x + 1, numpy.exp(numpy.minimum(x, 0)))


def rms(x, weight, epsilon):
    return x / numpy.sqrt((x * x).mean() + epsilon) * weight


def turn(x, position, theta):
    half = len(x) // 2
    result = numpy.empty_like(x)
    for pair in range(half):
        angle = position * theta ** (-2 * pair / len(x))
        a, b = x[pair], x[pair + half]
        result[pair] = a * numpy.cos(angle) - b * numpy.sin(angle)
        result[pair + half] = b * numpy.cos(angle) + a * numpy.sin(angle)
    return result


class Reference:
    def __init__(self, config, state):
        self.config = config
        self.weights = {name: value.detach().double().numpy() for name, value in state.items()}
        count = config.kv_heads
        self.keys = [[[] for _ in range(count)] for _ in range(config.layers)]
        self.values = [[[] for _ in range(count)] for _ in range(config.layers)]
        size = config.head_dim
        self.matrix = numpy.zeros((config.layers, count, size, size))
        self.normalizer = numpy.zeros((config.layers, count, size))
        self.segments = 0

    def step(self, token):
        config, infini = self.config, self.config.infini
        if infini and len(self.keys[0][0]) == infini.segment:
            self.fold()
        x = self.weights["model.embed_tokens.weight"][token]
        for layer in range(config.layers):
            weight = lambda name: self.weights[f"model.layers.{layer}.{name}.weight"]
            x = x + self.attend(layer, rms(x, weight("input_layernorm"), config.norm_epsilon))
            y = rms(x, weight("post_attention_layernorm"), config.norm_epsilon)
            gate = weight("mlp.gate_proj") @ y
            x = x + weight("mlp.down_proj") @ (gate / (1 + numpy.exp(-gate)) * (weight("mlp.up_proj") @ y))
        output = self.weights["model.embed_tokens.weight" if config.tied else "lm_head.weight"]
        return output @ rms(x, self.weights["model.norm.weight"], config.norm_epsilon)

    def attend(self, layer, x):
        config, size = self.config, self.config.head_dim
        prefix = f"model.layers.{layer}.self_attn."
        q, k, v = (self.weights[f"{prefix}{name}_proj.weight"] @ x for name in "qkv")
        for head in range(config.kv_heads):
            self.keys[layer][head].append(k[head * size:(head + 1) * size])
            self.values[layer][head].append(v[head * size:(head + 1) * size])
        heads = []
        for head in range(config.heads):
            query, store = q[head * size:(head + 1) * size], head // (config.heads // config.kv_heads)
            keys, values = self.keys[layer][store], self.values[layer][store]
            turned = turn(query, len(keys) - 1, config.rope_theta)
            logits = [turned @ turn(key, at, config.rope_theta) / numpy.sqrt(size) for at, key in enumerate(keys)]
            weights = numpy.exp(logits)
            total = weights.sum()
            if config.sink == "zero":
                total += 1
            if config.sink == "logit":
                total += numpy.exp(self.weights[prefix + "sinks"][head])
            answer = sum(weight * value for weight, value in zip(weights, values)) / total
            if config.infini and config.infini.update != "local":
                answer = self.mix(layer, store, query, answer, self.weights[prefix + "infini_gate"][head])
            heads.append(answer)
        return self.weights[prefix + "o_proj.weight"] @ numpy.concatenate(heads)

    def mix(self, layer, store, query, local, logit):
        gate = 1 / (1 + numpy.exp(-logit))
        if self.segments == 0:
            return local if self.config.infini.first_segment == "bypass" else (1 - gate) * local
        return gate * self.read(layer, store, sigma(query)) + (1 - gate) * local

    def read(self, layer, store, features):
        divisor = max(features @ self.normalizer[layer, store], self.config.infini.epsilon)
        return features @ self.matrix[layer, store] / divisor

    def fold(self):
        for layer in range(self.config.layers):
            for head in range(self.config.kv_heads):
                added = numpy.zeros_like(self.matrix[layer, head])
                for key, value in zip(self.keys[layer][head], self.values[layer][head]):
                    if self.config.infini.update == "delta" and self.segments:
                        value = value - self.read(layer, head, sigma(key))
                    added += numpy.outer(sigma(key), value)
                self.matrix[layer, head] += added
                self.normalizer[layer, head] += sum(sigma(key) for key in self.keys[layer][head])
                self.keys[layer][head], self.values[layer][head] = [], []
        self.segments += 1
