#!/usr/bin/env python3
"""Trains and measures the arms of docs/liquid.md's studies and prints their tables.

    python3 tools/studies/liquid.py [--tessera build/release/tessera] [--threads 1] [--tokens 1000000] [--only interference|help|start]
                                    [--sizes 0.3M,1M,3M,10M] [--seeds 1,2] [--joint steps,batch] [--released DIR]

interference: each size trained on drawing alone, on text alone, and on both, with equal tokens of each task (arXiv 2412.04332, figure 3). The
joint run has twice the steps, or the same steps and twice the batch; the second shows interference without the effect of more steps.
help: 0.3 M parameters; drawing with captioning added, and captioning with drawing added, at equal tokens of the task that is measured and equal steps.
start: from a language model against from nothing (both of models/books-lm's shape), the loss of drawing along the way. --released DIR: from that
one too, whatever its size, all its weights tuned, on a third of the tokens, one seed.
Every arm is `tessera train recipes/studies/liquid.toml` with a few --set; one whose model is already there is only read. Results:
runs/studies/liquid.json.
"""
import argparse
import json
import math
import pathlib

from arms import interval, metrics, train

RUNS = pathlib.Path("runs/studies")
RECIPE = "recipes/studies/liquid.toml"
SIZES = {  # width, depth, heads: parameters beside the vocabulary's rows
    "0.3M": (96, 3, 3), "1M": (160, 4, 5), "3M": (256, 4, 4), "10M": (448, 4, 7),
}
TOKENS = 77  # of a sample: a picture's codes and its words, or a window of text
BATCH = 16
RELEASED_RATE, RELEASED_SHARE = 1e-3, 0.35  # of a large model: learning rate, and tokens against the others'


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tessera", default="build/release/tessera")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--seeds", type=lambda text: [int(word) for word in text.split(",")], default=[1, 2])
    parser.add_argument("--tokens", type=int, default=1_000_000, help="of each task")
    parser.add_argument("--sizes", default=",".join(SIZES), help="interference: which of them")
    parser.add_argument("--joint", default="steps,batch", choices=("steps", "batch", "steps,batch"), metavar="steps,batch", help="interference: what the joint run has twice of")
    parser.add_argument("--released", help="start: the directory of a language model, unpacked")
    parser.add_argument("--only", choices=("interference", "help", "start"))
    return parser.parse_args()


def measured(out):
    """Every measurement of a run: step -> numbers."""
    rows = {}
    for row in metrics(out):
        rows.setdefault(row["step"], {}).update(row)
    return {step: row for step, row in rows.items() if "heldout_loss" in row}


class Bench:
    def __init__(self, options):
        self.options = options

    def arm(self, name, tasks, seed, wide=False, share=1, **settings):
        """A run in which each of `tasks` sees options.tokens tokens (or a share of them), in more steps or (wide) in larger batches. Returns its measurements by step."""
        codec = RUNS / "liquid-vq"
        train(self.options, codec, "recipes/emoji-vq.toml", {"data.emoji.ground": '"pastel"', "data.emoji.names": 100, "train.steps": 600})
        weights = {"data.mixture.0.weight": 1.0 if "pictures" in tasks else 1e-9, "data.mixture.1.weight": 1.0 if "text" in tasks else 1e-9}
        batch = BATCH * len(tasks) if wide else BATCH
        steps = int(share * len(tasks) * self.options.tokens) // (TOKENS * batch)
        out = RUNS / f"liquid-{name}-s{seed}"
        train(self.options, out, RECIPE, weights | {"train.steps": steps, "train.batch": batch, "train.evaluate_every": max(1, steps // 8), "train.seed": seed} | settings)
        return measured(out)

    def sized(self, size):
        width, depth, heads = SIZES[size]
        return {"model.width": width, "model.depth": depth, "model.heads": heads, "model.kv_heads": heads}


def last(arm, key):
    return arm[max(arm)][key]


def interference(bench):
    rows, gaps = [], {}
    for size in bench.options.sizes.split(","):
        for joint in bench.options.joint.split(","):
            cells = [size, "twice the " + joint]
            for key, alone in (("heldout_drawing", "pictures"), ("heldout_text", "text")):
                losses = []
                for seed in bench.options.seeds:
                    single = bench.arm(f"{size}-{alone}", [alone], seed, **bench.sized(size))
                    both = bench.arm(f"{size}-joint-{joint}", ["pictures", "text"], seed, wide=joint == "batch", **bench.sized(size))
                    losses.append((last(single, key), last(both, key)))
                mean, half = interval([both - single for single, both in losses])
                gaps.setdefault(f"{key}, twice the {joint}", []).append((size, mean))
                cells += [", ".join(f"{value:.3f}" for value in side) for side in zip(*losses)] + [f"{mean:+.3f} ± {half:.3f}"]
            rows.append(cells)
    table("Joint less single task, nats a token (mean and interval over seeds)",
          ["parameters", "together in", "drawing alone", "drawing together", "difference", "text alone", "text together", "difference"], rows)
    for key, points in gaps.items():
        if len(points) < 3:
            continue
        x = [math.log10(float(size[:-1])) for size, _ in points]
        y = [gap for _, gap in points]
        mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
        slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y)) / sum((a - mean_x) ** 2 for a in x)
        print(f"{key}: gap = {mean_y - slope * mean_x:.3f} {slope:+.3f} log10(parameters in millions)")
    return gaps


def mutual_help(bench):
    rows, data = [], {}
    size = bench.sized("0.3M")
    for key, share in (("heldout_drawing", 1.0), ("heldout_caption", 0.0)):
        differences = []
        for seed in bench.options.seeds:
            single = bench.arm(f"help-0.3M-{share:g}", ["pictures"], seed, **size, **{"loss.drawing": share})
            both = bench.arm("help-0.3M-both", ["pictures", "pictures"], seed, wide=True, **size, **{"loss.drawing": 0.5})
            differences.append(last(both, key) - last(single, key))
        data[key] = interval(differences)
        rows.append([key, f"{data[key][0]:+.3f} ± {data[key][1]:.3f}"])
    table("The other task added, at equal tokens of the task measured: difference of its loss", ["task", "nats a token"], rows)
    return data


def start(bench):
    rows, data = [], {}
    released = bench.options.released
    for seed in bench.options.seeds:
        fresh = bench.arm("start-fresh", ["pictures"], seed, **{"model.width": 256, "model.depth": 5, "model.heads": 4, "model.kv_heads": 1, "model.hidden": 512})
        arms = {"books-lm": bench.arm("start-lm", ["pictures"], seed, **{"model.from": '"models/books-lm"'})}
        if released and seed == bench.options.seeds[0]:
            where = {key: f'"{released}"' for key in ("model.from", "model.tokenizer", "data.mixture.1.text.tokenizer")}
            arms[pathlib.Path(released).name] = bench.arm(f"start-from-{pathlib.Path(released).name}", ["pictures"], seed, share=RELEASED_SHARE, **where, **{"train.schedule.learning_rate": RELEASED_RATE})
        data[seed] = {"nothing": fresh} | arms
        target = last(fresh, "heldout_drawing")
        for name, tuned in arms.items():
            reached = next((step for step in sorted(tuned) if tuned[step]["heldout_drawing"] <= target), None)
            rows.append([str(seed), name, f"{target:.3f}", f"{last(tuned, 'heldout_drawing'):.3f}", f"{reached / max(fresh):.2f}" if reached else "not reached"])
    table("From a language model against from nothing", ["seed", "language model", "from nothing, nats", "from the language model, nats", "share of the tokens to equal loss"], rows)
    return data


def table(title, columns, rows):
    print(f"\n{title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def main():
    options = arguments()
    bench = Bench(options)
    RUNS.mkdir(parents=True, exist_ok=True)
    studies = {"interference": interference, "help": mutual_help, "start": start}
    results = {name: study(bench) for name, study in studies.items() if options.only in (None, name)}
    (RUNS / "liquid.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
