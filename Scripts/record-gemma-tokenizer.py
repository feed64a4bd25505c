"""Records ids of a small tokenizer of Gemma's kind, built and run by the `tokenizers` package.

Writes Tests/Golden/tokenizers/gemma.json (a tokenizer.json) and gemma-ids.json: texts with the ids of the file as it
is ("huggingface"), and with those of GGUF's model `gemma4` ("gguf"): the same merges between runs of line breaks,
where a run that is a token is that token. Run from the root of the checkout: python3 Scripts/record-gemma-tokenizer.py
"""

import json
import pathlib
import random
import re

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

FOLDER = pathlib.Path("Tests/Golden/tokenizers")
SPACE = "\u2581"
SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>"]
MARKS = ["<|channel>", "<channel|>", "<turn|>", "<|tool_response>", '<|"|>']
WORDS = """the quick brown fox jumps over the lazy dog and then there was nothing in the other house but these
things that we have seen and heard were not those that they had said in their letters été naïve größer 你好 世界
he said it is what it is and she was there with the others while the weather was fine def return self print"""


def merges():
    """Merges that never cross a space, as SentencePiece trains them."""
    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizers.Replace(" ", SPACE)
    learner.pre_tokenizer = pre_tokenizers.Split(SPACE, "merged_with_next")
    learner.train_from_iterator([WORDS] * 4, trainers.BpeTrainer(vocab_size=190, show_progress=False))
    model = json.loads(learner.to_str())["model"]
    alphabet = sorted((t for t in model["vocab"] if len(t) == 1), key=ord)
    runs = [(sign * left, sign * right) for sign in ("\n", SPACE) for left, right in ((1, 1), (2, 1), (2, 2), (4, 1))]
    return alphabet, runs + [tuple(pair) for pair in model["merges"]]


def build():
    alphabet, pairs = merges()
    vocabulary = SPECIAL + [f"<0x{byte:02X}>" for byte in range(256)] + alphabet + ["\n", SPACE]
    vocabulary += [left + right for left, right in pairs]
    ids = {}
    for token in vocabulary:
        ids.setdefault(token, len(ids))
    tokenizer = Tokenizer(models.BPE(ids, pairs, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", SPACE)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in SPECIAL + MARKS])
    plain = ["\n" * n for n in (1, 2, 3, 4, 5)] + [SPACE * n for n in (2, 3, 4, 5)] + ["<table>"]
    tokenizer.add_tokens([AddedToken(t, normalized=False, special=False) for t in plain])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=[("<bos>"), "$A"], special_tokens=[("<bos>", tokenizer.token_to_id("<bos>"))])
    return tokenizer


def texts():
    fixed = [
        "", " ", "  ", "the quick brown fox", " the", "the ", "the  other   house", "a\nb", "a\n\nb", "\n\n\n", "\n" * 7,
        "     \n      ", "été 你好 😀", "x\u0000y", "the" * 9, "def f(self):\n    return self\n\n\nprint", "\t tab\r\n",
        "\u00a0nbsp\u3000", "e\u0301", "ﷺ", "they've  12345", "<table> <table", "said\n \nit", "  \n\n  the",
    ]
    random.seed(11)
    pools = [list("thequickandin "), list(" \n"), list("éßñ你好世界"), list("0123456789.,!?'"), list("😀👩\u200d🌾")]
    for _ in range(60):
        fixed.append("".join("".join(random.choices(random.choice(pools), k=random.randint(1, 6))) for _ in range(8)))
    return fixed


def gguf_ids(plain, vocabulary, text):
    """By the rule of model `gemma4`; `plain` has the merges and no added tokens."""
    ids = []
    for piece in re.findall(r"[^\n]+|\n+", text):
        if piece in vocabulary and piece[0] == "\n":
            ids.append(vocabulary[piece])
        else:
            ids += plain.encode(piece, add_special_tokens=False).ids
    return ids


def main():
    tokenizer = build()
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = json.loads(tokenizer.to_str())
    (FOLDER / "gemma.json").write_text(json.dumps(file, ensure_ascii=False, separators=(",", ":")) + "\n")
    plain = Tokenizer(models.BPE(file["model"]["vocab"], [tuple(p) for p in file["model"]["merges"]],
                                 unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    plain.normalizer = normalizers.Replace(" ", SPACE)
    cases = []
    for text in texts():
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        gguf = gguf_ids(plain, file["model"]["vocab"], text)
        assert tokenizer.decode(ids, skip_special_tokens=False) == text, (text, tokenizer.decode(ids))
        cases.append({"text": text, "huggingface": ids, "gguf": gguf})
    lines = ",\n".join(json.dumps(case, ensure_ascii=True) for case in cases)
    (FOLDER / "gemma-ids.json").write_text("[\n" + lines + "\n]\n")
    print(len(file["model"]["vocab"]), len(cases), sum(c["gguf"] != c["huggingface"] for c in cases))


main()
