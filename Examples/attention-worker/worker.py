#!/usr/bin/env python3
"""An attention worker in numpy, written from docs/attention-protocol.md: keeps sequences of the cache `full` as float32.

    openssl rand -hex 32 > worker.key
    Examples/attention-worker/worker.py --listen 127.0.0.1:7077 --key worker.key
    sluice run --workers 127.0.0.1:7077 --worker-key worker.key -p "Once upon a time" -n 20
"""
import argparse, hashlib, hmac, os, socket, struct, threading
import numpy as np

HEADER = struct.Struct("<4sBBBBIIQII")
HELLO, PROOF, WELCOME, MODEL, READY = 1, 2, 3, 10, 11
OPEN, CLOSE, RESET, END_PROMPT, ROLL_BACK, KEEP_UNDO, ASK_STATE, STATE = range(20, 28)
STEP, QUERIES, KEYS_AND_VALUES, ATTENTION, BEAT, ERROR = 30, 31, 32, 33, 40, 41
NUMBERS = {1: np.dtype("<f4"), 2: np.dtype("<f2")}

class Refused(Exception):
    """What is answered by an error: a code and a text."""

class Reader:
    def __init__(self, data):
        self.data, self.offset = data, 0

    def take(self, form):
        values = struct.unpack_from("<" + form, self.data, self.offset)
        self.offset += struct.calcsize("<" + form)
        return values if len(values) > 1 else values[0]

    def text(self):
        return self.take(f"{self.take('I')}s").decode()

class Layer:
    """What attention is in one layer of the model."""

    def __init__(self, r, table, part, parts):
        self.queries = r.take("H")
        if self.queries == 0:
            return
        self.heads, self.dim, positions, _, _ = r.take("HHHHq")
        self.positions = table[positions]
        self.scale, self.cap, self.window, self.owner, self.growth, self.length = r.take("ffIidq")
        sinks, _ = [[r.take("f") for _ in range(self.queries)] if r.take("B") else None for _ in range(2)]
        self.group = self.queries // self.heads
        first, last = self.heads * part // parts, self.heads * (part + 1) // parts
        self.own, heads = last - first, slice(first * self.group, last * self.group)
        self.sinks = np.array(sinks or [-np.inf] * self.queries)[heads]
        self.slopes = np.array(self.positions[1] if self.positions[0] == 3 else [0.0] * self.queries)[heads]

    def rotate(self, x, places):
        (kind, frequencies), half = self.positions, len(self.positions[1])
        if kind not in (1, 2):
            return x
        angles = (np.outer(places, frequencies) % (2 * np.pi))[:, None, :]
        cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
        a, b = (slice(0, half), slice(half, 2 * half)) if kind == 1 else (slice(0, 2 * half, 2), slice(1, 2 * half, 2))
        y = x.copy()
        y[..., a], y[..., b] = x[..., a] * cos - x[..., b] * sin, x[..., a] * sin + x[..., b] * cos
        return y

    def attend(self, q, keys, values, before):
        """Attention of queries `[token, head, dim]` to keys `[token, KV head, dim]`, of which `before` came earlier."""
        rows, places, slots = len(q), before + np.arange(len(q)), np.arange(len(keys))
        q = q * (1 + max(self.growth, 0) * np.log1p(places // max(self.length, 1))).astype(np.float32)[:, None, None]
        q = self.rotate(q, places).reshape(rows, self.own, self.group, self.dim)
        logits = np.einsum("rhgd,khd->hgrk", q, keys).reshape(-1, rows, len(keys)) * self.scale
        logits = self.cap * np.tanh(logits / self.cap) if self.cap > 0 else logits
        distance = places[:, None] - slots[None, :]
        hidden = (distance < 0) | (distance >= (self.window or len(keys)))
        logits = np.where(hidden, -np.inf, logits - self.slopes[:, None, None] * distance)
        largest = np.maximum(logits.max(axis=2, keepdims=True), self.sinks[:, None, None])
        weights = np.exp(logits - largest)
        sums = weights.sum(axis=2, keepdims=True) + np.exp(self.sinks[:, None, None] - largest)
        weights = (weights / sums).reshape(self.own, self.group, rows, len(keys))
        return np.einsum("hgrk,khd->rhgd", weights.astype(np.float32), values).reshape(rows, -1)

class Worker:
    """What one model worker has here, and its connection."""

    def __init__(self, connection, key):
        self.connection, self.stream, self.key = connection, connection.makefile("rb"), key
        self.layers, self.sequences, self.parts, self.rows, self.limit = [], {}, [], 0, 64

    def receive(self):
        magic, version, kind, form, zero, epoch, layer, batch, length, zero2 = HEADER.unpack(self.read(HEADER.size))
        if magic != b"SLAT" or version != 1 or zero or zero2 or length > (1 << 28 if self.layers else self.limit):
            raise ValueError("this is not a frame")
        return kind, form, epoch, layer, batch, length

    def read(self, count):
        data = self.stream.read(count)
        if len(data) < count:
            raise EOFError
        return data

    def send(self, kind, contents=b"", form=0, epoch=0, layer=0, batch=0):
        self.connection.sendall(HEADER.pack(b"SLAT", 1, kind, form, 0, epoch, layer, batch, len(contents), 0) + contents)

    def proof(self, role, *nonces):
        return hmac.new(self.key, b"sluice attention " + role + b"".join(nonces), hashlib.sha256).digest()

    def serve(self):
        nonce = os.urandom(32)
        self.send(HELLO, nonce)
        kind, _, _, _, _, length = self.receive()
        answer = self.read(length)
        if kind != PROOF or not hmac.compare_digest(self.proof(b"client", nonce, answer[:32]), answer[32:]):
            raise ValueError("no proof of the key")
        self.send(WELCOME, self.proof(b"worker", answer[:32], nonce))
        self.limit = 16 << 20
        while True:
            kind, form, epoch, layer, batch, length = self.receive()
            contents = self.read(length)
            try:
                self.take(kind, form, epoch, layer, batch, contents)
            except Refused as refusal:
                self.send(ERROR, bytes([refusal.args[0]]) + refusal.args[1].encode(), epoch=epoch, batch=batch)

    def take(self, kind, form, epoch, layer, batch, contents):
        r = Reader(contents)
        if kind == MODEL:
            _, part, parts, slots, slot_parts, _ = r.take("QHHHHI")
            table = []
            for _ in range(r.take("H")):
                code = r.take("B")
                table.append((code, [r.take(" ddf"[code]) for _ in range(r.take("H") if code else 0)]))
            self.layers = [Layer(r, table, part, parts) for _ in range(r.take("H"))]
            if slot_parts != 1:
                raise Refused(1, "this worker keeps whole sequences")
            self.send(READY, struct.pack("<Q", 1 << 40), epoch=epoch)
        elif kind == STEP:
            self.parts, self.rows = [], 0
            while r.offset < len(contents):
                sequence, position, rows = r.take("QqI")
                if layer or self.sequences.get(sequence, {}).get("count") != position:
                    raise Refused(1 if layer else 2, "the sequence stands elsewhere, or the step is not of lane 0")
                self.parts.append((sequence, position, slice(self.rows, self.rows + rows)))
                self.rows += rows
            for sequence, position, rows in self.parts:
                self.sequences[sequence]["count"] = position + rows.stop - rows.start
        elif kind == QUERIES:
            numbers = np.frombuffer(contents, NUMBERS[form]).astype(np.float32)
            self.q = numbers.reshape(self.rows, -1, self.layers[layer].dim)
        elif kind == KEYS_AND_VALUES:
            self.send(ATTENTION, self.attend(layer, form, contents), form, epoch, layer, batch)
        elif kind != BEAT:
            self.change(kind, epoch, batch, r)

    def attend(self, layer, form, contents):
        owner = layer if (shape := self.layers[layer]).owner < 0 else shape.owner
        numbers = np.frombuffer(contents, NUMBERS[form]).astype(np.float32)
        new = numbers.reshape(2, self.rows, shape.own, shape.dim) if shape.owner < 0 else None
        output = []
        for sequence, position, rows in self.parts:
            memory, count = self.sequences[sequence]["layers"], position + rows.stop - rows.start
            if new is not None:
                added = (shape.rotate(new[0][rows], np.arange(position, count)), new[1][rows])
                # What is there already is replaced: a step may come again.
                memory[owner] = [np.concatenate((old[:position], x)) for old, x in zip(memory.get(owner, added), added)]
            keys, values = memory[owner]
            output.append(shape.attend(self.q[rows], keys[:count], values[:count], position))
        return np.concatenate(output).astype(NUMBERS[form]).tobytes()

    def change(self, kind, epoch, sequence, r):
        if kind == OPEN:
            _, plan = r.text(), r.text()
            if plan != "tokens":
                raise Refused(1, f"this worker keeps all tokens and knows no other cache, such as '{plan}'")
            self.sequences[sequence] = {"count": 0, "layers": {}}
        if sequence not in self.sequences:
            raise Refused(2, "the sequence is not here")
        state = self.sequences[sequence] if kind != CLOSE else self.sequences.pop(sequence)
        if kind == RESET:
            state.update(count=0, layers={})
        elif kind == ROLL_BACK:
            state["count"] -= r.take("Q")
        size, count = sum(x.nbytes for layer in state["layers"].values() for x in layer), state["count"]
        self.send(STATE, struct.pack("<QQqHqH", size, 1 << 40, count, 0, count, 0), epoch=epoch, batch=sequence)

def serve(connection, key):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        try:
            Worker(connection, key).serve()
        except (EOFError, ConnectionError, ValueError, struct.error) as error:
            print(f"a connection ended: {error or 'closed'}", flush=True)

def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listen", default="127.0.0.1:7077")
    parser.add_argument("--key", required=True, type=argparse.FileType("rb"))
    arguments = parser.parse_args()
    key, (host, port) = arguments.key.read().strip(), arguments.listen.rsplit(":", 1)
    with socket.create_server((host, int(port))) as listener:
        print(f"listening at {host}:{listener.getsockname()[1]}", flush=True)
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0], key), daemon=True).start()

if __name__ == "__main__":
    main()
