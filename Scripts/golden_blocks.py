"""Blocks of every weight type and the values that they stand for; part of record-golden.py."""
import gguf
import numpy as np

from golden_llama import GOLDEN, numbers

# Bytes of a block and where its float16 scales are; the rest of a block may hold any bits.
BLOCKS = {"F16": (2, []), "BF16": (2, []), "Q8_0": (34, [0]), "Q4_0": (18, [0]), "Q4_1": (20, [0, 2]),
          "Q5_0": (22, [0]), "Q5_1": (24, [0, 2]), "Q2_K": (84, [80, 82]), "Q3_K": (110, [108]),
          "Q4_K": (144, [0, 2]), "Q5_K": (176, [0, 2]), "Q6_K": (210, [208]), "IQ4_NL": (18, [0]),
          "IQ4_XS": (136, [0]), "MXFP4": (17, [])}


def record_blocks():
    """Random bits with finite scales (one negative, one zero, one subnormal) and what they stand for."""
    random = np.random.Generator(np.random.PCG64(7))
    lines = []
    for name, (size, scales) in BLOCKS.items():
        kind = gguf.GGMLQuantizationType[name]
        count = 2 if size > 34 else 4
        if size == 2:
            special = {"F16": [0x0000, 0x8000, 0x0001, 0x83FF, 0x7BFF, 0x3C00],
                       "BF16": [0x0000, 0x8000, 0x0001, 0x807F, 0x7F7F, 0x3F80]}[name]
            values = np.float32(random.standard_normal(58))
            bits = values.astype(np.float16).view(np.uint16) if name == "F16" else values.view(np.uint32) >> 16
            data = np.concatenate([special, bits]).astype("<u2").view(np.uint8)
        else:
            data = random.integers(0, 256, (count, size)).astype(np.uint8)
            for offset in scales:
                scale = (0.02 * random.standard_normal(count)).astype("<f2")
                scale[0], scale[1] = abs(scale[0]), -abs(scale[1])
                if count > 2:
                    scale[2:4] = 0, 5e-6
                data[:, offset:offset + 2] = scale.view(np.uint8).reshape(count, 2)
            if name == "MXFP4":  # the smallest scale of all, which is denormal as the next, and large ones
                data[:, 0] = [0, 1, 121, 230]
        values = gguf.dequantize(data.reshape(-1), kind)
        lines.append(f'"{name}": {{"bytes": "{data.tobytes().hex()}",\n  "values": {numbers(values)}}}')
    (GOLDEN / "blocks.json").write_text("{" + ",\n".join(lines) + "}\n")
