#!/usr/bin/env python3
"""Trains the rungs of books-lm's ladder, measures them and models/books-lm, and has `tessera plan ladder` predict the latter.

    python3 tools/studies/ladder.py --books MY/BOOKS [--tessera build/release/tessera] [--threads 1]

Needs runs/books-tokenizer (see recipes/books-lm.toml) or takes that of models/books-lm. The task, "next": which of four runs of 8 words
follows 48 words of a book that was never trained on; the other three stand elsewhere in the same book. Results: runs/ladder/runs.csv.
"""
import argparse
import json
import pathlib
import random

import arms
from arms import run

RUNS = pathlib.Path("runs/ladder")
UNSEEN = ("l-frank-baum_the-wonderful-wizard-of-oz", "p-g-wodehouse_love-among-the-chickens")
TARGET = "models/books-lm"
TARGET_TOKENS = 12_770_000
STEP_TOKENS = 4 * 512
# width: heads, feed-forward width, training tokens of each rung
RUNGS = {64: (1, 128, (1e6, 2e6)), 96: (2, 192, (2e6,)), 128: (2, 256, (1e6, 2e6)), 192: (3, 384, (4e6,))}
QUESTIONS, CONTEXT_WORDS, ANSWER_WORDS = 2000, 48, 8


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--books", required=True, type=pathlib.Path)
    parser.add_argument("--tessera", default="build/release/tessera")
    parser.add_argument("--threads", default="1")
    return parser.parse_args()


def write_questions(books, file):
    rng = random.Random(1)
    lines = []
    for name in UNSEEN:
        words = (books / f"{name}.txt").read_text().split()
        last = len(words) - CONTEXT_WORDS - ANSWER_WORDS
        for _ in range(QUESTIONS // len(UNSEEN)):
            at = rng.randrange(last)
            answer = at + CONTEXT_WORDS
            places = [answer] + [rng.randrange(CONTEXT_WORDS, len(words) - ANSWER_WORDS) for _ in range(3)]
            order = rng.sample(range(4), 4)
            choices = [" ".join(words[places[i]:places[i] + ANSWER_WORDS]) for i in order]
            lines.append(json.dumps({"prompt": " ".join(words[at:answer]), "choices": choices, "answer": order.index(0)}))
    file.write_text("\n".join(lines) + "\n")


def measure(options, name, model, tokens, role):
    common = ("--append", RUNS / "runs.csv", "--tokens", int(tokens), "--run", name, "--role", role, "--json")
    run(options, "eval", "-m", model, "--task", "choice", "--data", RUNS / "next.jsonl", "--count", 0, *common)
    run(options, "eval", "-m", model, "--task", "perplexity", "--data", RUNS / "unseen", *common)


def train(options, width, tokens):
    heads, hidden, _ = RUNGS[width]
    name, steps = f"w{width}-{tokens / 1e6:.0f}M", round(tokens / STEP_TOKENS)
    sets = {"model.width": width, "model.heads": heads, "model.hidden": hidden, "train.steps": steps, "data.text.path": f'"{options.books}"',
            "data.text.tokenizer": f'"{TARGET}"'}
    model = arms.train(options, RUNS / name, "recipes/ladder/rung.toml", sets)
    return name, model, steps * STEP_TOKENS


def main():
    options = arguments()
    (RUNS / "unseen").mkdir(parents=True, exist_ok=True)
    for name in UNSEEN:
        (RUNS / "unseen" / f"{name}.txt").write_bytes((options.books / f"{name}.txt").read_bytes())
    write_questions(options.books, RUNS / "next.jsonl")
    for width, (_, _, amounts) in RUNGS.items():
        for tokens in amounts:
            name, model, seen = train(options, width, tokens)
            measure(options, name, model, seen, "train")
            print(f"{name} is trained and measured", flush=True)
    measure(options, "books-lm", TARGET, TARGET_TOKENS, "target")
    print(run(options, "plan", "ladder", "--runs", RUNS / "runs.csv", "--report", RUNS / "ladder.html"))


if __name__ == "__main__":
    main()
