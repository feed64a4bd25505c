"""Records ids of a small unigram tokenizer, trained by the `sentencepiece` package.

Writes Tests/Golden/tokenizers/unigram.json (a tokenizer.json of T5's kind, whose ids are those of the `tokenizers` package)
and unigram-ids.json: the same model as the keys of a GGUF file has them ("gguf"), texts, and their ids by both packages, with
bytes for unknown characters and without. Run from the root of the checkout: python3 Scripts/record-unigram-tokenizer.py
"""

import base64
import io
import json
import pathlib
import random
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

FOLDER = pathlib.Path("Tests/Golden/tokenizers")
SPACE = "\u2581"
WORDS = """the quick brown fox jumps over the lazy dog and then there was nothing in the other house but these things that
we have seen and heard were not those that they had said in their letters and she was there with the others while the
weather was fine he said it is what it is one two three ninety nine co-operate re-read été naïve größer 你好 世界"""
# What becomes of a few strings, as NFKC and SentencePiece's `nmt` do it.
RULES = {"\t": " ", "\n": " ", "\r": " ", "\u00a0": " ", "\u3000": " ", "ﬁ": "fi", "Ａ": "A", "e\u0301": "é", "①": "1",
         "\u200b": "", "…": "...", "ﷺ": "صلى الله عليه وسلم", "e\u0301\u0323": "ẹ\u0301"}


def sentences():
    """Random sentences, so that parts of words come up often enough to become tokens."""
    generator = random.Random(3)
    words = WORDS.split()
    return [" ".join(generator.choices(words, k=8)) for _ in range(400)]


def train(byte_fallback):
    with tempfile.TemporaryDirectory() as folder:
        rules = pathlib.Path(folder, "rules.tsv")
        rules.write_text("".join(
            " ".join(f"{ord(c):X}" for c in a) + "\t" + " ".join(f"{ord(c):X}" for c in b) + "\n"
            for a, b in RULES.items()))
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences()), model_writer=model, model_type="unigram",
            vocab_size=410 if byte_fallback else 154, hard_vocab_limit=False, normalization_rule_tsv=str(rules), byte_fallback=byte_fallback,
            character_coverage=0.98, minloglevel=2, num_threads=1)
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.getvalue())
    return proto, sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def hugging_face(proto, byte_fallback, old):
    vocabulary = [(piece.piece, piece.score) for piece in proto.pieces]
    tokenizer = Tokenizer(models.Unigram(vocabulary, 0, byte_fallback))
    precompiled = normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap)
    if old:
        tokenizer.normalizer = precompiled
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(SPACE, "always")])
    else:
        tokenizer.normalizer = normalizers.Sequence(
            [precompiled, normalizers.Strip(False, True), normalizers.Replace(Regex(" {2,}"), SPACE)])
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(SPACE, "always")
    tokenizer.decoder = decoders.Metaspace(SPACE, "always")
    tokenizer.add_special_tokens(["<s>", "</s>"])
    return tokenizer


def texts():
    fixed = [
        "", " ", "the", " the", "the  quick   brown", "  the end  ", "a\tb\nc\r\nd", "ﬁne Ａ① e\u0301te\u0301", "\u200b", "你好世界",
        "日本語 ж日本 x", "été…", "ﷺ", "the\u00a0\u3000other", "xyz XYZ 123", "😀 the 😀😀", "\u2581the \u2581\u2581 x",
        "theotherthingsandtheweather", "nothing" * 20, "<s>the</s>", "e\u0301\u0323x", "e\u0323\u0301x", "a\u0301 \u0301b",
    ]
    generator = random.Random(5)
    pools = [list("thequickandin "), list("  \t\n"), list("éßñ你好世界ж"), list("019.,!?'-"), list("😀ﬁＡ①\u200b\u0301…\u2581")]
    for _ in range(80):
        fixed.append("".join(
            "".join(generator.choices(generator.choice(pools), k=generator.randint(1, 6))) for _ in range(8)))
    return fixed


def main():
    result = {"texts": texts(), "models": {}}
    for name, fallback in [("unknown", False), ("bytes", True)]:
        proto, processor = train(fallback)
        new, old = hugging_face(proto, fallback, False), hugging_face(proto, fallback, True)
        if name == "unknown":
            file = json.loads(new.to_str())
            (FOLDER / "unigram.json").write_text(json.dumps(file, ensure_ascii=False, separators=(",", ":")) + "\n")
        result["models"][name] = {
            "gguf": {
                "tokens": [piece.piece for piece in proto.pieces], "scores": [piece.score for piece in proto.pieces],
                "kinds": [piece.type for piece in proto.pieces],
                "characterMap": base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()},
            "old": json.loads(old.to_str())["pre_tokenizer"],
            "sentencepiece": [processor.encode(text) for text in result["texts"]],
            "huggingface": [new.encode(text, add_special_tokens=False).ids for text in result["texts"]],
            "split": [old.encode(text, add_special_tokens=False).ids for text in result["texts"]],
        }
        print(name, len(proto.pieces), len(proto.normalizer_spec.precompiled_charsmap))
    (FOLDER / "unigram-ids.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")


main()
