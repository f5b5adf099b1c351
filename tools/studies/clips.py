#!/usr/bin/env python3
"""Frames of docs/nvila.md: models/emoji-nvila is trained further with clips of 8 frames, shown 4, all 8, or 8 averaged in pairs.

    python3 tools/studies/clips.py [--tessera build/release/tessera] [--out runs/clips] [--threads 1] [--steps 150] [--seed 1] [--questions 1500]
                                   [--only ARM]

Every arm is recipes/studies/nvila-clips.toml with the same clips and is asked the same questions. Seeds differ in the clips that are learnt
from. Results: OUT/seedN/*.jsonl, table.md.
"""
import argparse
import pathlib

from arms import paired_table, run, train

RECIPE = pathlib.Path("recipes/studies/nvila-clips.toml")
FRAME_TOKENS = 16
# frames, and how many of them are averaged
ARMS = {"four": (4, 1), "pooled": (8, 2), "eight": (8, 1)}
NAMES = {"four": "4 frames", "eight": "8 frames", "pooled": "8 frames, averaged in pairs"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tessera", default="build/release/tessera")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/clips"))
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--questions", type=int, default=1500)
    parser.add_argument("--only", choices=tuple(ARMS))
    return parser.parse_args()


def prepare(options, out, arm):
    frames, pool = ARMS[arm]
    recipe = out / f"{arm}.toml"  # --set does not reach into a mixture
    text = RECIPE.read_text().replace("turns = 6\n", f"turns = 6\nframes = {frames}\n")
    recipe.write_text(text.replace("\nseed = 4", f"\nseed = {options.seed}4"))
    settings = {"model.video.frames": frames, "model.video.pool": [pool, 1, 1], "train.steps": options.steps, "train.seed": options.seed}
    model = train(options, out / arm, recipe, settings)
    answers = out / f"{arm}.jsonl"
    if not answers.exists():
        run(options, "eval", "-m", model, "--task", "emoji-qa", "--worlds", "clip", "--count", options.questions, "--seed", 1, "--answers", answers)


def table(out, arms):
    tokens = {arm: frames // pool * FRAME_TOKENS for arm, (frames, pool) in ARMS.items()}
    against = {arm: ("eight", "") for arm in ARMS if arm != "eight"}
    return paired_table({arm: out / f"{arm}.jsonl" for arm in arms}, lambda row: row["kind"], NAMES, ("tokens a clip", tokens), against)


def main():
    options = arguments()
    out = options.out / f"seed{options.seed}"
    out.mkdir(parents=True, exist_ok=True)
    for arm in ARMS if options.only is None else (options.only,):
        prepare(options, out, arm)
    done = [arm for arm in ARMS if (out / f"{arm}.jsonl").exists()]
    (out / "table.md").write_text(table(out, done))
    print((out / "table.md").read_text())


if __name__ == "__main__":
    main()
