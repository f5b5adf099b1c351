#!/usr/bin/env python3
"""DeltaLoss of docs/nvila.md: half of the rows, chosen by two scorers, against all of them and against random halves.

    python3 tools/studies/prune.py [--tessera build/release/tessera] [--threads 1] [--rows 4800] [--seeds 1 2] [--questions 1200]

Rows about Emoji World in one file and one source: a third honest questions, a third too easy ("Is this a picture?"), a third misleading
(another row's answer). The large scorer is models/emoji-nvila, the small one recipes/emoji-nvila-base.toml stopped after 300 steps; every arm goes on from the small one for a single pass through its rows. Results: runs/prune/table.md.
"""
import argparse
import json
import pathlib
import random
import subprocess

RUNS = pathlib.Path("runs/prune")
SMALL_STEPS, BATCH = 300, 32
LARGE = "models/emoji-nvila"
WORLDS = {"sprite": ("--size", 64, "--names", 640), "scene": ("--size", 128, "--names", 80)}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tessera", default="build/release/tessera")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--rows", type=int, default=4800)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--questions", type=int, default=1200)
    return parser.parse_args()


def run(options, *words):
    return subprocess.run([options.tessera, *map(str, words), "--quiet"], check=True, capture_output=True, text=True).stdout


def honest(options):
    """Half about sprites, half about scenes: picture, question, answer."""
    rng, found = random.Random(1), []
    for kind, size in WORLDS.items():
        folder, count = RUNS / kind, options.rows // len(WORLDS)
        run(options, "data", "emoji", "--kind", kind, *size, "--names-seed", 8, "--ground", "pastel", "--seed", 41, "--count", count, "--out", folder, "--overwrite")
        for line in (folder / "captions.jsonl").read_text().splitlines():
            sample = json.loads(line)
            asked = rng.choice(sample.get("questions") or [{"question": "What is this?", "answer": sample["caption"]}])
            found.append((f"{kind}/{sample['file']}", asked["question"], asked["answer"]))
    rng.shuffle(found)
    return found


def write_rows(options):
    """Rows, a third of each sort; `sorts.json` says which is which, and no one reads it but this program."""
    rng, rows, sorts = random.Random(2), honest(options), []
    answers = {}
    for _, question, answer in rows:
        answers.setdefault(question.split(" the ")[0], []).append(answer)
    lines = []
    for i, (picture, question, answer) in enumerate(rows):
        sorts.append(("honest", "easy", "misleading")[i % 3])
        if sorts[-1] == "easy":
            question, answer = "Is this a picture?", "yes"
        elif sorts[-1] == "misleading":
            others = [other for other in answers[question.split(" the ")[0]] if other != answer] or ["nothing"]
            answer = rng.choice(others)
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        lines.append(json.dumps({"image": picture, "source": "emoji", "messages": turns}))
    (RUNS / "rows.jsonl").write_text("\n".join(lines) + "\n")
    (RUNS / "sorts.json").write_text(json.dumps(sorts))


def train(options, out, recipe, settings):
    if not (out / "model" / "config.json").exists():
        sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        begin = ["--resume", out] if (out / "metrics.jsonl").exists() else [recipe, "--out", out, *sets]
        run(options, "train", *begin, "--threads", options.threads)
    return out / "model"


def accuracy(options, label, model):
    kept = RUNS / f"{label}.json"
    if not kept.exists():
        asked = ("--task", "emoji-qa", "--worlds", "sprite", "--worlds", "scene", "--count", options.questions, "--seed", 1, "--threads", options.threads)
        kept.write_text(run(options, "eval", "-m", model, *asked, "--json").strip().rpartition("\n")[2])
    return json.loads(kept.read_text())["accuracy"]


def arms_of(lines, halves, seed):
    share = random.Random(100 + seed).sample(range(len(lines)), len(lines) // 2)
    return {"all": lines, "half by DeltaLoss": halves, "half at random": [lines[i] for i in sorted(share)]}


def kept_sorts(lines, kept):
    """Of how many of each sort were kept. Rows are told apart by their pictures."""
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
    small = train(options, RUNS / "small", "recipes/emoji-nvila-base.toml", {"train.steps": SMALL_STEPS, "train.evaluate_every": 0})
    if not (RUNS / "rows.jsonl").exists():
        write_rows(options)
    kept_file = RUNS / "kept.jsonl"
    if not kept_file.exists():
        run(options, "data", "prune", "--data", RUNS / "rows.jsonl", "--large", LARGE, "--small", small, "--keep", 0.5, "-o", kept_file, "--threads", options.threads)
    lines, halves = (RUNS / "rows.jsonl").read_text().splitlines(), kept_file.read_text().splitlines()
    print(f"DeltaLoss kept {kept_sorts(lines, halves)}")
    table = {"before": [accuracy(options, "before", small)], "the large scorer": [accuracy(options, "large", LARGE)]}
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
