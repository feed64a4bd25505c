"""A folder of text files as token ids: every tenth file is held out."""

import hashlib
from pathlib import Path

import numpy
from tokenizers import Tokenizer


def files(folder, limit=None):
    """The text files of a folder and its folders, by name: (for training, held out)."""
    paths = sorted(Path(folder).rglob("*.txt"))
    if not paths:
        raise FileNotFoundError(f"'{folder}' holds no .txt files")
    held_out = paths[9::10]
    training = [path for path in paths if path not in set(held_out)]
    return training[:limit], held_out


class Text:
    """Token ids of files, one after another; ids are made once and kept beside the run."""

    def __init__(self, paths, tokenizer, cache):
        digest = hashlib.sha256(tokenizer.to_str().encode())
        for path in paths:
            digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        kept = Path(cache) / f"tokens-{digest.hexdigest()[:16]}.npy"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            parts = []
            for path in paths:
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
                # In pieces of some hundred lines: tokenizers are slow on whole books.
                pieces = ["".join(lines[at:at + 400]) for at in range(0, len(lines), 400)]
                for encoding in tokenizer.encode_batch(pieces, add_special_tokens=False):
                    parts.append(numpy.asarray(encoding.ids, dtype=numpy.int32))
            numpy.save(kept, numpy.concatenate(parts))
        self.ids = numpy.load(kept, mmap_mode="r")

    def __len__(self):
        return len(self.ids)

    def passage(self, random, length):
        """`length` ids from anywhere."""
        if len(self.ids) <= length:
            raise ValueError(f"the texts have {len(self.ids)} tokens, fewer than a passage of {length}")
        start = random.randrange(len(self.ids) - length)
        return self.ids[start:start + length].tolist()


def load_tokenizer(folder):
    return Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
