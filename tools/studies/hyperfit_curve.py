#!/usr/bin/env python3
"""Draws docs/images/hyperfit-curve.png from runs of recipes/books-lm-hyperfit.toml: losses, type-token ratio and entropy by epoch.

    python3 tools/studies/hyperfit_curve.py runs/hyperfit/full-s1 runs/hyperfit/full-s2 --human .65 -o docs/images/hyperfit-curve.png

Needs matplotlib. Every run is a line; an epoch is as many steps as lie between two measurements."""
import argparse
import json
import pathlib

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PANELS = (("Loss, nats a token", (("loss", "training", "#b5462f"), ("heldout_loss", "held out", "#2f5d8a"))),
          ("Type-token ratio, 96 greedy tokens", (("heldout_ttr", "model", "#2f7d4f"),)),
          ("Certainty on held-out text", (("heldout_entropy", "entropy, nats", "#6b4f9a"), ("heldout_top1", "top-1 probability", "#c98a1b"))))


def read(run):
    lines = [json.loads(line) for line in (pathlib.Path(run) / "metrics.jsonl").read_text().splitlines()]
    measured = [line for line in lines if "heldout_loss" in line]
    per_epoch = measured[1]["step"] - measured[0]["step"]
    series = {}
    for line in lines:
        for name, value in line.items():
            series.setdefault(name, []).append((line["step"] / per_epoch, value))
    epochs = int(measured[-1]["step"] / per_epoch)
    by_epoch = []
    for epoch in range(1, epochs + 1):
        losses = [value for at, value in series["loss"] if epoch - 1 < at <= epoch]
        by_epoch.append((epoch - 0.5, sum(losses) / len(losses)))
    series["loss"] = by_epoch
    return series


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--human", type=float, help="type-token ratio of the books' own words")
    parser.add_argument("--before", type=json.loads, default={}, help="what the model began with, as JSON of metric names")
    parser.add_argument("-o", "--out", required=True)
    options = parser.parse_args()
    runs = [read(run) for run in options.runs]
    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), constrained_layout=True)
    for axis, (title, lines) in zip(axes, PANELS):
        for name, label, colour in lines:
            for i, series in enumerate(runs):
                points = ([(0, options.before[name])] if name in options.before else []) + series[name]
                axis.plot(*zip(*points), color=colour, linewidth=1.6, linestyle="-" if i == 0 else "--", label=label if i == 0 else None)
        axis.set_title(title, loc="left", fontsize=10), axis.set_xlabel("epoch"), axis.set_ylim(bottom=0), axis.set_xlim(left=0)
    if options.human:
        axes[1].set_ylim(0, max(axes[1].get_ylim()[1], 1.15 * options.human))
        axes[1].axhline(options.human, color="#888888", linewidth=1, linestyle=":")
        axes[1].annotate("the books themselves", (0.98, options.human), xycoords=("axes fraction", "data"), ha="right", va="bottom", color="#666666", fontsize=9)
    axes[0].legend(frameon=False), axes[2].legend(frameon=False)
    figure.savefig(options.out, dpi=120)


if __name__ == "__main__":
    main()
