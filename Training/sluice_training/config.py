"""What a model is, as one value that is written beside its weights."""

from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True)
class InfiniConfig:
    """Infini-attention (arXiv 2404.07143): segments, and a matrix a KV head for all segments before."""

    segment: int = 64
    # "linear", "delta", or "local" for the twin without a memory.
    update: str = "linear"
    # What a gate does while no segment is finished: "bypass" leaves attention local, "scaled" multiplies it by 1 - g.
    first_segment: str = "bypass"
    epsilon: float = 1e-6
    # Where gates begin, before the sigmoid: 0 from scratch, -2 for a model that was trained without a memory.
    initial_gate: float = 0.0


@dataclass(frozen=True)
class AdapterConfig:
    """Low-rank updates (arXiv 2106.09685) of some linear layers; the base is frozen."""

    rank: int = 16
    alpha: float = 32.0
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")


@dataclass(frozen=True)
class ModelConfig:
    """A Llama: RMSNorm, grouped-query attention with rotary positions in halves, SwiGLU."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    rope_theta: float = 10000.0
    norm_epsilon: float = 1e-5
    trained_length: int = 256
    tied: bool = True
    bos_token: int | None = None
    eos_token: int | None = None
    # "none"; "zero": softmax over one more logit of 0 whose value is 0; "logit": that logit is learned for each head;
    # "token": the token `sink_token` begins every sample.
    sink: str = "none"
    sink_token: int | None = None
    infini: InfiniConfig | None = None

    def __post_init__(self):
        if self.sink not in ("none", "zero", "logit", "token"):
            raise ValueError(f"no such sink: '{self.sink}'")
        if (self.sink == "token") != (self.sink_token is not None):
            raise ValueError("a sink token is named exactly where the sink is a token")
        if self.heads % self.kv_heads or self.head_dim % 2:
            raise ValueError("query heads are a multiple of KV heads, and the head size is even")
        if self.infini and self.infini.update not in ("linear", "delta", "local"):
            raise ValueError(f"no such update: '{self.infini.update}'")

    def to_dict(self):
        return asdict(self)

    @classmethod
    def from_dict(cls, values):
        values = dict(values)
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"unknown keys of a model: {sorted(unknown)}")
        if values.get("infini"):
            values["infini"] = InfiniConfig(**values["infini"])
        return cls(**values)
