#!/usr/bin/env python3
"""Says how far `sluice` and llama.cpp agree on the same GGUF: tokens, perplexity, greedy text.

  Benchmarks/peers/agreement.py MODEL.gguf TEXT.txt --tokens 1024 --prompts 8 --answer 48

llama.cpp is llama-cpp-python, as in compare.py. Both multiply int8 activations, rounded each in its way, so greedy texts
part where two tokens are about as likely: printed is by how many logits llama.cpp's choice was ahead there.
"""
import argparse
import json
import math
import os
import pathlib
import subprocess
import tempfile

from compare import CACHE, peer_python

PEER = """
import json, sys
import numpy as np
from llama_cpp import Llama
model, request = sys.argv[1], json.load(sys.stdin)
count, answer = request['tokens'], request['answer']
llm = Llama(model, n_ctx=max(count, 512) + answer + 8, logits_all=True, n_threads=2, verbose=False)
tokens = llm.tokenize(request['text'].encode())
result = {'tokens': tokens, 'nll': [], 'answers': []}
llm.eval(tokens[:count])
for place in range(min(count, len(tokens)) - 1):
    logits = np.array(llm.scores[place], dtype=np.float64)
    top = logits.max()
    result['nll'].append(top + np.log(np.exp(logits - top).sum()) - logits[tokens[place + 1]])
for prompt in request['prompts']:
    llm.reset()
    llm.eval(llm.tokenize(prompt.encode()))
    said, gaps = [], []
    for _ in range(answer):
        logits = llm.scores[llm.n_tokens - 1]
        second, first = np.argsort(logits)[-2:]
        said.append(int(first))
        gaps.append(float(logits[first] - logits[second]))
        llm.eval([int(first)])
    texts = [llm.detokenize(said[:n + 1]).decode(errors='replace') for n in range(answer)]
    result['answers'].append({'texts': texts, 'gaps': gaps})
print(json.dumps(result))
"""


def sluice(arguments, *command, text=None):
    run = subprocess.run(
        [arguments.sluice, *command, "-m", arguments.model], capture_output=True, input=text, text=True, check=True)
    return run.stdout


def prompts_of(text, count):
    """Beginnings of lines far apart in the text, of about 300 characters."""
    lines = [place + 1 for place, character in enumerate(text[:-400]) if character == "\n"]
    starts = [lines[index * len(lines) // count] for index in range(count)]
    return [text[start:start + 300].rsplit(" ", 1)[0] for start in starts]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("--tokens", type=int, default=1024, help="tokens of the perplexity")
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--answer", type=int, default=48, help="tokens that are written after each prompt")
    parser.add_argument("--sluice", default=".build/release/sluice")
    parser.add_argument("--peers", type=pathlib.Path, default=CACHE / "sluice/peers")
    arguments = parser.parse_args()

    text = pathlib.Path(arguments.text).read_text(encoding="utf-8-sig", errors="replace")
    prompts = prompts_of(text, arguments.prompts)
    request = json.dumps({
        "text": text[:arguments.tokens * 8], "tokens": arguments.tokens, "prompts": prompts,
        "answer": arguments.answer})
    run = subprocess.run(
        [peer_python(arguments.peers), "-c", PEER, os.path.abspath(arguments.model)], capture_output=True,
        input=request, text=True, check=True)
    peer = json.loads(run.stdout.splitlines()[-1])

    ours = json.loads(sluice(arguments, "tokenize", "--json", text=text[:arguments.tokens * 8]))
    theirs = peer["tokens"]
    added = next((skip for skip in (0, 1) if theirs[skip:] == ours), None)
    print(f"tokens: {len(ours)}, " + ("others" if added is None else f"the same but for {added} at the start"))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "text.txt"
        path.write_text(text[:arguments.tokens * 8], encoding="utf-8")
        for count in sorted({64, 256, arguments.tokens}):
            measured = json.loads(
                sluice(arguments, "evaluate", "perplexity", str(path), "--tokens", str(count), "--json"))
            scored = peer["nll"][:count - 1]
            expected = math.exp(sum(scored) / len(scored))
            print(f"perplexity of {count} tokens: {measured['perplexity']:.4f}, llama.cpp's {expected:.4f}, "
                  f"{100 * (measured['perplexity'] / expected - 1):+.2f} %")
    same = 0
    for prompt, answer in zip(prompts, peer["answers"]):
        written = sluice(arguments, "run", "--temp", "0", "-n", str(arguments.answer), "-p", prompt)
        written = written.removeprefix(prompt).rstrip("\n")
        texts = answer["texts"]
        agreed = next((n for n, said in enumerate(texts) if not written.startswith(said.rstrip("\ufffd"))), None)
        if agreed is None or texts[-1].rstrip() == written.rstrip():
            same += 1
        else:
            print(f"greedy: parts after {agreed} tokens, where {answer['gaps'][agreed]:.3f} logits decided")
    print(f"greedy: {same} of {len(prompts)} texts of {arguments.answer} tokens are the same")


if __name__ == "__main__":
    main()
