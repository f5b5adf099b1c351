#!/usr/bin/env python3
"""DeltaLoss of docs/nvila.md: half of the rows, chosen by two scorers, against all of them and against random halves.

    python3 tools/studies/prune.py [--tessera build/release/tessera] [--threads 1] [--rows 4800] [--seeds 1 2] [--questions 2000]

Rows about Emoji World in one file and one source: a third honest (sprites with their names), a third too easy (whether a scene holds a thing that
it holds), a third misleading (sprites with another's name). The large scorer is models/emoji-nvila, the small one runs/emoji-nvila-base/model
(recipes/emoji-nvila-base.toml with train.steps = 1200); every arm goes on from the small one for a single pass. Results: runs/prune/table.md.
"""
import argparse
import json
import pathlib
import random

from arms import run, train

RUNS = pathlib.Path("runs/prune")
BATCH = 32
LARGE, SMALL = "models/emoji-nvila", "runs/emoji-nvila-base/model"
WORLDS = {"sprite": ("--size", 64, "--names", 640), "scene": ("--size", 128, "--names", 80)}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tessera", default="build/release/tessera")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--rows", type=int, default=4800)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--questions", type=int, default=2000)
    return parser.parse_args()


def samples(options, kind, count):
    folder = RUNS / kind
    run(options, "data", "emoji", "--kind", kind, *WORLDS[kind], "--names-seed", 8, "--ground", "pastel", "--seed", 41, "--count", count, "--out", folder, "--overwrite")
    return [json.loads(line) for line in (folder / "captions.jsonl").read_text().splitlines()]


def write_rows(options):
    """Rows, a third of each sort; `sorts.json` says which is which, and no one reads it but this program."""
    rng, third = random.Random(2), options.rows // 3
    sprites = samples(options, "sprite", 2 * third)
    rows = [("honest", f"sprite/{each['file']}", "What is this?", each["caption"]) for each in sprites[:third]]
    for each in sprites[third:]:
        others = [other["caption"] for other in sprites if other["caption"] != each["caption"]]
        rows.append(("misleading", f"sprite/{each['file']}", "What is this?", rng.choice(others)))
    for each in samples(options, "scene", third):
        asked = next(q for q in each["questions"] if q["kind"] == "presence")
        rows.append(("easy", f"scene/{each['file']}", asked["question"], asked["answer"]))
    rng.shuffle(rows)
    lines = []
    for _, picture, question, answer in rows:
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        lines.append(json.dumps({"image": picture, "source": "emoji", "messages": turns}))
    (RUNS / "rows.jsonl").write_text("\n".join(lines) + "\n")
    (RUNS / "sorts.json").write_text(json.dumps([sort for sort, *_ in rows]))


def accuracy(options, label, model):
    kept = RUNS / f"{label}.json"
    if not kept.exists():
        asked = ("--task", "emoji-qa", "--worlds", "sprite", "--worlds", "scene", "--count", options.questions, "--seed", 1)
        kept.write_text(run(options, "eval", "-m", model, *asked, "--json").strip().rpartition("\n")[2])
    return json.loads(kept.read_text())["accuracy"]


def arms_of(lines, halves, seed):
    share = random.Random(100 + seed).sample(range(len(lines)), len(lines) // 2)
    return {"all": lines, "half by DeltaLoss": halves, "half at random": [lines[i] for i in sorted(share)]}


def kept_sorts(lines, kept):
    """How many of each sort were kept. Rows are identified by their pictures."""
    chosen = {json.loads(line)["image"] for line in kept}
    counts = {}
    for line, sort in zip(lines, json.loads((RUNS / "sorts.json").read_text())):
        pair = counts.setdefault(sort, [0, 0])
        pair[0] += json.loads(line)["image"] in chosen
        pair[1] += 1
    return ", ".join(f"{kept} of {of} {sort}" for sort, (kept, of) in sorted(counts.items()))


def main():
    options = arguments()
    RUNS.mkdir(parents=True, exist_ok=True)
    if not (RUNS / "rows.jsonl").exists():
        write_rows(options)
    kept_file = RUNS / "kept.jsonl"
    if not kept_file.exists():
        run(options, "data", "prune", "--data", RUNS / "rows.jsonl", "--large", LARGE, "--small", SMALL, "--keep", 0.5, "-o", kept_file)
    lines, halves = (RUNS / "rows.jsonl").read_text().splitlines(), kept_file.read_text().splitlines()
    print(f"DeltaLoss kept {kept_sorts(lines, halves)}")
    table = {"before": [accuracy(options, "before", SMALL)], "the large scorer": [accuracy(options, "large", LARGE)]}
    for seed in options.seeds:
        for label, rows in arms_of(lines, halves, seed).items():
            name = f"{label.replace(' ', '-')}-s{seed}"
            (RUNS / f"{name}.jsonl").write_text("\n".join(rows) + "\n")
            settings = {"data.chat.path": f'"{RUNS}/{name}.jsonl"', "data.chat.seed": seed, "train.seed": seed, "train.steps": len(rows) // BATCH}
            model = train(options, RUNS / name, "recipes/studies/nvila-prune.toml", settings)
            table.setdefault(label, []).append(accuracy(options, name, model))
    text = "| trained on | rows | right |\n|---|---|---|\n"
    rows_of = {"all": len(lines), "half by DeltaLoss": len(halves), "half at random": len(lines) // 2}
    for label, shares in table.items():
        each = f" ({', '.join(f'{share:.3f}' for share in shares)})" if len(shares) > 1 else ""
        text += f"| {label} | {rows_of.get(label, '')} | {sum(shares) / len(shares):.3f}{each} |\n"
    (RUNS / "table.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
