#!/usr/bin/env python3
"""Trains and measures the arms of docs/infinity.md's studies and prints their tables.

    python3 tools/studies/infinity.py [--tessera build/release/tessera] [--threads 1] [--only heads|scaling|correction]

Every arm is `tessera train recipes/studies/*.toml` with a few --set, then `tessera eval --task sprite-retrieval` on its
100 names. An arm whose model is already there is only measured again. Results: runs/studies/results.json.
"""
import argparse
import json
import pathlib

from arms import metrics, run, train

RUNS = pathlib.Path("runs/studies")
SEEDS = (1, 2)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tessera", default="build/release/tessera")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--only", choices=("heads", "scaling", "correction"))
    return parser.parse_args()


class Bench:
    def __init__(self, options):
        self.options = options

    def train(self, name, recipe, settings):
        """The last value of everything that the run measured."""
        train(self.options, RUNS / name, f"recipes/studies/{recipe}", settings)
        merged = {}
        for line in metrics(RUNS / name):
            merged.update(line)
        return merged

    def codec(self, bits):
        return self.train(f"codec-d{bits}", "codec-32.toml", {"model.bits": bits})

    def arm(self, name, bits, seed, **settings):
        self.codec(bits)
        base = {"model.codec_directory": f'"{RUNS}/codec-d{bits}/model"', "train.seed": seed}
        measured = self.train(name, "infinity-32.toml", base | settings)
        if settings.get("model.head") != '"index"':  # an index classifier is only there to be compared; it does not draw
            line = run(self.options, "eval", "-m", RUNS / name / "model", "--task", "sprite-retrieval", "--count", 0, "--seed", 1, "--json")
            measured["retrieval"] = json.loads(line.strip().rpartition("\n")[2])
        return measured


def mean_and_both(values, form):
    return f"{form.format(sum(values) / len(values))} ({', '.join(form.format(v) for v in values)})"


def table(title, columns, rows):
    print(f"\n{title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def heads(bench):
    rows, data = [], {}
    for head in ("bits", "index"):
        arms = [bench.arm(f"head-{head}-s{seed}", 8, seed, **{"model.head": f'"{head}"'}) for seed in SEEDS]
        data[head] = arms
        rows.append([head, mean_and_both([a["token_nats"] for a in arms], "{:.3f}"), mean_and_both([a["clean_bit_acc"] for a in arms], "{:.4f}"),
                     mean_and_both([a["clean_loss"] for a in arms], "{:.4f}")])
    table("Heads at d = 8: mean (both seeds)", ["head", "training loss per token, nats", "clean bit accuracy", "clean loss"], rows)
    return data


def scaling(bench):
    rows, data = [], {}
    for bits in (8, 24):
        ceiling = bench.codec(bits)["psnr"]
        for width, heads in ((48, 2), (128, 4)):
            arms = [bench.arm(f"scale-w{width}-d{bits}-s{seed}", bits, seed, **{"model.width": width, "model.heads": heads, "model.hidden": 4 * width}) for seed in SEEDS]
            data[f"w{width}-d{bits}"] = arms
            rows.append([str(bits), f"{ceiling:.2f}", str(width), mean_and_both([a["clean_bit_acc"] for a in arms], "{:.4f}"),
                         mean_and_both([a["retrieval"]["top1"] for a in arms], "{:.2f}"), mean_and_both([a["retrieval"]["top5"] for a in arms], "{:.2f}")])
    table("Vocabulary and width: mean (both seeds)", ["d", "codec PSNR, dB", "width", "clean bit accuracy", "retrieval top-1", "top-5"], rows)
    return data


def correction(bench):
    rows, data = [], {}
    for mode in ("off", "flips", "requantise"):
        arms = [bench.arm(f"correction-{mode}-s{seed}", 24, seed, **{"loss.correction": f'"{mode}"'}) for seed in SEEDS]
        data[mode] = arms
        accuracy = [mean_and_both([a[f"bit_acc_flips_{p}"] for a in arms], "{:.4f}") for p in (10, 20, 30)]
        rows.append([mode, mean_and_both([a["clean_bit_acc"] for a in arms], "{:.4f}"), *accuracy,
                     mean_and_both([a["retrieval"]["top1"] for a in arms], "{:.2f}")])
    table("Bitwise self-correction: mean (both seeds)", ["training", "bit accuracy, clean", "10% flipped", "20%", "30%", "retrieval top-1"], rows)
    return data


def main():
    options = arguments()
    bench = Bench(options)
    studies = {"heads": heads, "scaling": scaling, "correction": correction}
    RUNS.mkdir(parents=True, exist_ok=True)
    results = {name: study(bench) for name, study in studies.items() if options.only in (None, name)}
    (RUNS / "results.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
