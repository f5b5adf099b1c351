#!/usr/bin/env python3
"""The arms of docs/nvila.md's "scale, then compress", fine-tuned from one base model, and their paired accuracies.

    python3 tools/studies/nvila.py [--tessera build/release/tessera] [--out runs/nvila] [--threads 1] [--base-steps 1200] [--steps 400] [--seed 1]
                                   [--tile 32] [--larger 64] [--questions 4000] [--only ARM]

The base is models/emoji-nvila brought down to pictures of 32 pixels (--tile), 16 tokens; scaling adds pictures of 64 (--larger) in tiles
of 32. Tower and language model of every arm go on from it; the projector of every arm is new, also where the base has one of that shape. An
arm is recipes/studies/nvila-scale.toml with a few --set, the same samples in the same order; then `tessera eval --task emoji-qa` asks all
arms the same questions. Seeds share the base and differ in the new projectors and in the samples. Another tile wants another --out.
Results: OUT/seedN/*.jsonl, table.md.
"""
import argparse
import math
import pathlib

from arms import paired_table, run, train

RECIPE = pathlib.Path("recipes/studies/nvila-scale.toml")
PATCH = 8
SINGLE = {"model.tiles.mode": '"single"'}
ARMS = {
    "base": {**SINGLE, "model.projector": '"mlp2x_gelu"'},
    "scale": {"model.projector": '"mlp2x_gelu"'},
    "compress2": {},
    "compress3": {"model.projector": '"mlp_downsample_3x3_fix"'},
}

AGAINST = {"scale": ("base", " on base"), "compress2": ("scale", " on scale"), "compress3": ("scale", " on scale")}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tessera", default="build/release/tessera")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/nvila"))
    parser.add_argument("--base-steps", type=int, default=1200)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tile", type=int, default=32)
    parser.add_argument("--larger", type=int, default=64)
    parser.add_argument("--questions", type=int, default=4000)
    parser.add_argument("--only", choices=tuple(ARMS))
    return parser.parse_args()


def seen(options):
    tiles = (options.larger // options.tile) ** 2
    return {"model.vision.image_size": options.tile, "model.tiles.scales": [options.tile, options.larger], "model.tiles.max_tiles": tiles}


def base_model(options):
    settings = {"train.steps": options.base_steps, **seen(options), **ARMS["base"]}
    return train(options, options.out / "base", RECIPE, settings)


def without_projector(options, out):
    """The base with a projector that no other arm has: one step at a negligible rate."""
    start = {"model.from": f'"{base_model(options)}"', "train.steps": 1, "train.seed": options.seed, "train.schedule.learning_rate": 1e-12}
    return train(options, out / "start", RECIPE, {**start, **seen(options), **ARMS["scale"]})


def prepare(options, out, arm):
    recipe = out / "arm.toml"  # --set does not reach into a mixture
    recipe.write_text(RECIPE.read_text().replace("\nseed = 5", f"\nseed = {options.seed}5"))
    settings = {"model.from": f'"{without_projector(options, out)}"', "train.steps": options.steps, "train.seed": options.seed, **seen(options), **ARMS[arm]}
    model = train(options, out / arm, recipe, settings)
    answers = out / f"{arm}.jsonl"
    if not answers.exists():
        run(options, "eval", "-m", model, "--task", "emoji-qa", "--worlds", "sprite", "--worlds", "scene", "--count", options.questions, "--seed", 1, "--answers", answers)


def table(options, out, arms):
    names = {"base": f"base, {options.tile} px", "scale": f"+ scale, {options.tile} and {options.larger} px", "compress2": "+ compress 2x2", "compress3": "+ compress 3x3"}
    small, large = options.tile // PATCH, options.larger // PATCH
    tokens = {"base": small**2, "scale": large**2, "compress2": math.ceil(large / 2) ** 2, "compress3": math.ceil(large / 3) ** 2}
    files = {arm: out / f"{arm}.jsonl" for arm in arms}
    return paired_table(files, lambda row: f"{row['source']} {row['kind']}", names, ("tokens a picture", tokens), AGAINST)


def main():
    options = arguments()
    out = options.out / f"seed{options.seed}"
    out.mkdir(parents=True, exist_ok=True)
    for arm in ARMS if options.only is None else (options.only,):
        prepare(options, out, arm)
    done = [arm for arm in ARMS if (out / f"{arm}.jsonl").exists()]
    if len(done) > 1:
        (out / "table.md").write_text(table(options, out, done))
        print((out / "table.md").read_text())


if __name__ == "__main__":
    main()
