"""One measurement of llama.cpp through llama-cpp-python's low-level interface; prints one JSON object.

compare.py runs it with the Python of the peers' virtual environment. Times are taken around llama_decode: the prompt
is one batch, decoding one token a call, logits for the last token only. A cache of a given depth is not computed but
restored: the state of a short prompt is read, its cells are repeated up to the depth, and the result is loaded. The
time of a step does not depend on the values, and a real prompt of 16,384 tokens would take minutes. Several sequences
are decoded with one token of each in a batch, and logits for all of them.
"""
import argparse
import ctypes
import json
import random
import struct
import time

import llama_cpp as llama

SEED_TOKENS = 64


class Reader:
    def __init__(self, data):
        self.data, self.offset = data, 0

    def take(self, count):
        if self.offset + count > len(self.data):
            raise ValueError("the state is shorter than expected")
        self.offset += count
        return self.data[self.offset - count:self.offset]

    def number(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]


def lengthen(state, depth, streams):
    """The state of a sequence with its cells repeated until there are `depth` of them (layout of version 0.3.36)."""
    source, out = Reader(state), []
    header = source.data.find(struct.pack("<II", streams, SEED_TOKENS))
    if header < 0 or header > 16:
        raise ValueError("unknown layout of the state")
    out.append(source.take(header + 4))
    cells = source.number("I")
    out.append(struct.pack("<I", depth))
    for _ in range(cells):
        source.take(4)
        sequences = source.number("I")
        source.take(4 * sequences)
    out += [struct.pack("<iIi", position, 1, 0) for position in range(depth)]
    transposed, layers = source.number("I"), source.number("I")
    out.append(struct.pack("<II", transposed, layers))

    def repeat(block, row):
        times, rest = divmod(depth, cells)
        return block * times + block[:rest * row]

    for _ in range(layers):
        kind, row = source.number("i"), source.number("Q")
        out += [struct.pack("<iQ", kind, row), repeat(source.take(row * cells), row)]
    for _ in range(layers):
        if transposed:
            kind, element, rows = source.number("i"), source.number("I"), source.number("I")
            out.append(struct.pack("<iII", kind, element, rows))
            out += [repeat(source.take(element * cells), element) for _ in range(rows)]
        else:
            kind, row = source.number("i"), source.number("Q")
            out += [struct.pack("<iQ", kind, row), repeat(source.take(row * cells), row)]
    out.append(source.data[source.offset:])
    return b"".join(out)


class Session:
    def __init__(self, arguments):
        silent = llama.llama_log_callback(lambda *_: None)
        self.silent = silent
        llama.llama_log_set(silent, ctypes.c_void_p(0))
        llama.llama_backend_init()
        self.model = llama.llama_model_load_from_file(arguments.model.encode(), llama.llama_model_default_params())
        if not self.model:
            raise SystemExit(f"llama_cpp_bench: cannot load {arguments.model}")
        parameters = llama.llama_context_default_params()
        room = arguments.depth + max(arguments.prefill, arguments.decode + 1, SEED_TOKENS)
        parameters.n_ctx = (room + 255) // 256 * 256 * arguments.sequences
        parameters.n_seq_max = arguments.sequences
        parameters.n_batch = parameters.n_ubatch = max(arguments.prefill, SEED_TOKENS, arguments.sequences)
        parameters.n_threads = parameters.n_threads_batch = arguments.threads
        parameters.flash_attn_type = int(arguments.flash == "on")
        kinds = {"f32": 0, "f16": 1, "q4_0": 2, "q8_0": 8}
        parameters.type_k = kinds[arguments.kv]
        parameters.type_v = kinds[arguments.kv]
        self.context = llama.llama_init_from_model(self.model, parameters)
        if not self.context:
            raise SystemExit("llama_cpp_bench: no context with these settings")
        self.memory = llama.llama_get_memory(self.context)
        self.batch = llama.llama_batch_init(parameters.n_batch, 0, 1)
        vocabulary = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self.model))
        self.random = random.Random(1)
        self.vocabulary = vocabulary

    def decode(self, count, position):
        """Runs `count` random tokens as one batch and returns the seconds it took."""
        self.batch.n_tokens = count
        for i in range(count):
            self.batch.token[i] = self.random.randrange(3, self.vocabulary)
            self.batch.pos[i] = position + i
            self.batch.n_seq_id[i] = 1
            self.batch.seq_id[i][0] = 0
            self.batch.logits[i] = i == count - 1
        return self.compute()

    def decode_all(self, sequences, position):
        """Runs one random token of each sequence as one batch and returns the seconds it took."""
        self.batch.n_tokens = sequences
        for i in range(sequences):
            self.batch.token[i] = self.random.randrange(3, self.vocabulary)
            self.batch.pos[i] = position
            self.batch.n_seq_id[i] = 1
            self.batch.seq_id[i][0] = i
            self.batch.logits[i] = 1
        return self.compute()

    def compute(self):
        start = time.perf_counter()
        if llama.llama_decode(self.context, self.batch) != 0:
            raise SystemExit("llama_cpp_bench: llama_decode failed")
        llama.llama_synchronize(self.context)
        return time.perf_counter() - start

    def rewind(self, depth):
        llama.llama_memory_seq_rm(self.memory, 0, depth, -1)

    def fill(self, depth, sequences):
        """Brings every sequence to the depth."""
        if depth == 0:
            return
        self.decode(SEED_TOKENS, 0)
        size = llama.llama_state_seq_get_size(self.context, 0)
        buffer = (ctypes.c_uint8 * size)()
        llama.llama_state_seq_get_data(self.context, buffer, size, 0)
        state = lengthen(bytes(buffer), depth, sequences)
        llama.llama_memory_clear(self.memory, True)
        data = (ctypes.c_uint8 * len(state)).from_buffer_copy(state)
        for sequence in range(sequences):
            if llama.llama_state_seq_set_data(self.context, data, len(state), sequence) == 0:
                raise SystemExit("llama_cpp_bench: the lengthened state was refused")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prefill", type=int, default=512)
    parser.add_argument("--decode", type=int, default=64)
    parser.add_argument("--depth", type=int, default=0)
    parser.add_argument("--flash", choices=["on", "off"], default="on")
    parser.add_argument("--kv", choices=["f32", "f16", "q4_0", "q8_0"], default="f16")
    parser.add_argument("--sequences", type=int, default=1, help="sequences decoded together after the single one")
    arguments = parser.parse_args()
    session, depth, sequences = Session(arguments), arguments.depth, arguments.sequences
    session.fill(depth, sequences)
    session.decode(min(arguments.prefill, 128), depth)  # first touch of buffers and weights
    session.rewind(depth)
    prefill = session.decode(arguments.prefill, depth)
    session.rewind(depth)
    session.decode(1, depth)
    decode = sum(session.decode(1, depth + 1 + i) for i in range(arguments.decode))
    values = {"model": arguments.model, "threads": arguments.threads, "depth": depth, "flash": arguments.flash,
              "cache": arguments.kv, "prefillTokensPerSecond": arguments.prefill / prefill,
              "decodeTokensPerSecond": arguments.decode / decode}
    if sequences > 1:
        session.rewind(depth)
        session.decode_all(sequences, depth)
        batched = sum(session.decode_all(sequences, depth + 1 + i) for i in range(arguments.decode))
        values |= {"sequences": sequences, "batchedDecodeTokensPerSecond": sequences * arguments.decode / batched}
    print(json.dumps(values))


if __name__ == "__main__":
    main()
