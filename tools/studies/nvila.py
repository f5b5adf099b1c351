#!/usr/bin/env python3
"""Fine-tunes the arms of docs/nvila.md's "scale, then compress" from one base model and prints paired accuracies.

    python3 tools/studies/nvila.py [--tessera build/release/tessera] [--base models/emoji-nvila] [--out runs/nvila] [--threads 1] [--steps 150] [--seed 1]
                                   [--questions 4000] [--only ARM]

Tower and language model of every arm go on from the base's; the projector of every arm is new, also where the base has one of that shape. An arm
is recipes/emoji-nvila-scale.toml with a few --set, the same samples in the same order; then `tessera eval --task emoji-qa` asks all arms the
same questions. Needs runs/drawn (tools/drawn_emoji.py --seeds 11). Another seed wants another --out. Results: OUT/*.jsonl, table.md.
"""
import argparse
import json
import pathlib

from arms import interval, run, train

RECIPE = "recipes/emoji-nvila-scale.toml"
SINGLE = {"model.tiles.mode": '"single"'}
ARMS = {
    "base": {**SINGLE, "model.projector": '"mlp2x_gelu"'},
    "scale": {"model.projector": '"mlp2x_gelu"'},
    "compress2": {},
    "compress3": {"model.projector": '"mlp_downsample_3x3_fix"'},
}
NAMES = {"base": "base, 64 px", "scale": "+ scale, 64 and 128 px", "compress2": "+ compress 2x2", "compress3": "+ compress 3x3"}
TOKENS = {"base": 64, "scale": 256, "compress2": 64, "compress3": 36}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tessera", default="build/release/tessera")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--base", default="models/emoji-nvila")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/nvila"))
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--questions", type=int, default=4000)
    parser.add_argument("--only", choices=tuple(ARMS))
    return parser.parse_args()


def without_projector(options):
    """The base with a projector that none of the others can go on from: one step at no rate worth the name."""
    settings = {"model.from": f'"{options.base}"', "train.steps": 1, "train.schedule.learning_rate": 1e-12, **ARMS["base"]}
    return train(options, options.out / "start", RECIPE, settings)


def prepare(options, arm):
    start = without_projector(options)
    settings = {"model.from": f'"{start}"', "train.steps": options.steps, "train.seed": options.seed, "train.evaluate_every": 0, **ARMS[arm]}
    model = train(options, options.out / arm, RECIPE, settings)
    answers = options.out / f"{arm}.jsonl"
    if not answers.exists():
        run(options, "eval", "-m", model, "--task", "emoji-qa", "--count", options.questions, "--seed", 1, "--answers", answers)


def answers_of(out, arm):
    rows = [json.loads(line) for line in (out / f"{arm}.jsonl").read_text().splitlines()]
    return [(f"{row['source']} {row['kind']}", row["right"]) for row in rows]


def table(out, arms):
    answers = {arm: answers_of(out, arm) for arm in arms}
    kinds = sorted({kind for kind, _ in answers["base"]})
    lines = ["| question | of | " + " | ".join(NAMES[arm] for arm in arms) + " |", "|---" * (len(arms) + 2) + "|"]
    lines.append("| tokens a picture | | " + " | ".join(str(TOKENS[arm]) for arm in arms) + " |")
    for kind in ["all", *kinds]:
        rows = {arm: [float(right) for own, right in answers[arm] if kind in ("all", own)] for arm in arms}
        cells = [f"{sum(rows[arm]) / len(rows[arm]):.3f}" for arm in arms]
        for i, arm in enumerate(arms):
            if arm != "base":
                against = "base" if arm == "scale" else "scale"
                if against in rows:
                    mean, half = interval([a - b for a, b in zip(rows[arm], rows[against])])
                    cells[i] += f" ({100 * mean:+.1f} ± {100 * half:.1f} on {against})"
        lines.append(f"| {kind} | {len(rows['base'])} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    for arm in ARMS if options.only is None else (options.only,):
        prepare(options, arm)
    done = [arm for arm in ARMS if (options.out / f"{arm}.jsonl").exists()]
    if "base" in done:
        (options.out / "table.md").write_text(table(options.out, done))
        print((options.out / "table.md").read_text())


if __name__ == "__main__":
    main()
