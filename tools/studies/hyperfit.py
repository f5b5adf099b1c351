#!/usr/bin/env python3
"""Trains and measures the arms of docs/hyperfitting.md and prints their tables.

    python3 tools/studies/hyperfit.py --books MY/BOOKS [--tessera build/release/tessera] [--threads 1] [--seeds 1 2] [--only arms|fewer|order|lora|sizes|pictures|released|released-lora] [--released DIR]

Every arm is `tessera train recipes/books-lm-hyperfit.toml` (pictures: recipes/emoji-infinity-hyperfit.toml) with a few --set, then
`tessera eval --task diversity` on contexts of the two books that were never trained on. An arm whose model is already there is only
measured again. Results: runs/hyperfit/results.json.
"""
import argparse
import json
import pathlib
import shutil
import subprocess

import arms as common
from arms import metrics

RUNS = pathlib.Path("runs/hyperfit")
UNSEEN = ("l-frank-baum_the-wonderful-wizard-of-oz", "p-g-wodehouse_love-among-the-chickens")
BASE = "models/books-lm"
CONTEXTS = 100


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--books", required=True, type=pathlib.Path)
    parser.add_argument("--tessera", default="build/release/tessera")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--small", default="runs/ladder/w128-2M/model", help="a smaller pretrained model, that most arms are trained from")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", choices=("arms", "fewer", "order", "lora", "sizes", "pictures", "released", "released-lora"))
    parser.add_argument("--released", help="directory of a released model with plain weights (tessera convert makes one of a GGUF file) for the study of that name, which takes an hour or more a seed")
    return parser.parse_args()


class Bench:
    def __init__(self, options):
        self.options, self.unseen = options, RUNS / "unseen"
        self.unseen.mkdir(parents=True, exist_ok=True)
        for name in UNSEEN:
            shutil.copy(options.books / f"{name}.txt", self.unseen)
        self.measured = RUNS / "measured"
        self.measured.mkdir(exist_ok=True)

    def run(self, *words):
        return common.run(self.options, *words).strip().rpartition("\n")[2]

    def train(self, name, recipe, settings):
        common.train(self.options, RUNS / name, f"recipes/{recipe}", settings)
        return RUNS / name

    def hyperfit(self, name, seed, base=BASE, **settings):
        own = {"data.text.path": f'"{self.options.books}"', "model.from": f'"{base}"', "data.text.seed": seed, "train.seed": seed}
        own["tune.unseen"] = json.dumps([str(self.unseen / f"{text}.txt") for text in UNSEEN])
        return self.train(f"{name}-s{seed}", "books-lm-hyperfit.toml", own | {key.replace("__", "."): value for key, value in settings.items()})

    def index(self, out):
        file = out / "read.citations"
        if not file.exists():
            subprocess.run([self.options.tessera, "data", "citations", "--recipe", str(out / "recipe.toml"), "-o", str(file)], check=True, capture_output=True)
        return file

    def alive(self, label, model, *flags, seed=1):
        kept = self.measured / f"{label}.json"
        if not kept.exists():
            line = self.run("eval", "-m", model, "--task", "diversity", "--data", self.unseen, "--count", CONTEXTS, "--seed", seed, "--json",
                            "--answers", self.measured / f"{label}.jsonl", *flags)
            kept.write_text(line)
        return json.loads(kept.read_text())


def spread(values, form):
    mean = sum(values) / len(values)
    if len(values) == 1:
        return form.format(mean)
    return f"{form.format(mean)} ({', '.join(form.format(v) for v in values)})"


COLUMNS = ["arm", "TTR 96", "TTR 224", "in windows of 50", "repeated 4-grams", "self-BLEU", "perplexity", "entropy", "top-1", "longest read", "over 10", "BLEU to read"]


def row(label, results):
    def of(pick, form="{:.3f}"):
        return spread([pick(r) for r in results], form)
    longest = of(lambda r: r["written"][1]["longest_read"], "{:.1f}") if "longest_read" in results[0]["written"][1] else ""
    return [label, of(lambda r: r["written"][0]["ttr"]), of(lambda r: r["written"][1]["ttr"]), of(lambda r: r["written"][1]["ttr_window"]),
            of(lambda r: r["written"][1]["repeated_4grams"]), of(lambda r: r["written"][1]["self_bleu4"]), of(lambda r: r["perplexity"], "{:.1f}"),
            of(lambda r: r["entropy"], "{:.2f}"), of(lambda r: r["top1_probability"]), longest,
            of(lambda r: 100 * r["written"][1]["over_ten"], "{:.1f}%") if longest else "", of(lambda r: r["written"][1]["read_bleu4"]) if longest else ""]


def table(title, columns, rows):
    print(f"\n{title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for cells in rows:
        print(f"| {' | '.join(cells)} |")


TOP_P = ("--top-p", 0.9, "--temperature", 0.7, "--top-k", 50)


def arms(bench):
    """Greedy before and after, and what else could be done about greedy text."""
    found = {}

    def measure(label, seed, model, *flags):
        found.setdefault(label, []).append(bench.alive(f"{label.replace(',', '').replace(' ', '-')}-s{seed}", model, *flags, seed=seed))
        return found[label][-1]

    for seed in bench.options.seeds:
        out = bench.hyperfit("full", seed)
        read = ("--citations", bench.index(out))
        after = measure("hyperfit, greedy", seed, out / "model", *read)
        measure("hyperfit, greedy, blocking", seed, out / "model", *read, "--block-citations", bench.index(out))
        measure("hyperfit, Top-P", seed, out / "model", *read, *TOP_P)
        measure("before, greedy", seed, BASE, *read)
        measure("before, Top-P", seed, BASE, *read, *TOP_P)
        measure("before, repetition penalty 1.3", seed, BASE, *read, "--repetition-penalty", 1.3, "--temperature", 0)
        measure("before, equal entropy", seed, BASE, *read, "--match-entropy", after["entropy"])
        early = bench.hyperfit("early", seed, tune__epochs=1)
        measure("early stop (epoch 1), greedy", seed, early / "model", *read)
    human = found["before, greedy"][0]["reference"]
    table("Arms: mean (both seeds)", COLUMNS, [row(label, results) for label, results in found.items()])
    print(f"\nThe books themselves: TTR {human[0]['ttr']:.3f} at 96, {human[1]['ttr']:.3f} at 224")
    return found


def few(bench, samples, seed):
    """The smaller model on `samples` samples, in the updates of 256: the run and what it measures."""
    settings = {} if samples == 256 else {"tune__samples": samples, "tune__epochs": 20 * 256 // samples, "train__evaluate_every": 0}
    out = bench.hyperfit("small" if samples == 256 else f"few{samples}", seed, bench.options.small, **settings)
    return {**bench.alive(f"fewer-{samples}-s{seed}", out / "model", "--citations", bench.index(out)), "training_loss": last_loss(out)}


def table_with_losses(title, found):
    rows = [[label, spread([r["training_loss"] for r in results], "{:.3f}"), *row(label, results)[1:]] for label, results in found.items()]
    table(title, ["arm", "training loss", *COLUMNS[1:]], rows)


def fewer(bench):
    """The same number of updates on fewer samples, of the smaller model."""
    found = {f"{samples} samples": [few(bench, samples, seed) for seed in bench.options.seeds] for samples in (256, 64, 16)}
    table_with_losses("Fewer samples at constant updates: mean (both seeds)", found)
    return found


def order(bench):
    """The same samples in another order, of the smaller model: how many most likely tokens differ."""
    shares = []
    for seed in bench.options.seeds:
        small = bench.options.small
        one, other = bench.hyperfit("small", seed, small), bench.hyperfit("reordered", seed, small, data__text__order=1, train__evaluate_every=0)
        shares.append(bench.alive(f"order-s{seed}", one / "model", "--compare", other / "model")["changed_top1"])
    against = bench.alive("order-before", small, "--compare", bench.hyperfit("small", 1, small) / "model")["changed_top1"]
    table("Another order of the same samples", ["", "most likely tokens that differ"],
          [["two orders", spread(shares, "{:.3f}")], ["before and after (seed 1)", f"{against:.3f}"]])
    return {"orders": shares, "before_after": against}


def lora(bench):
    """What has to be trained, of the smaller model, on 64 samples: all its weights come to zero on those in the same updates."""
    found = {"all weights": [few(bench, 64, seed) for seed in bench.options.seeds]}
    adapters = {"tune__samples": 64, "tune__epochs": 80, "train__evaluate_every": 0, "train__schedule__learning_rate": 1e-2,
                "model__tune__what": '"lora"', "model__tune__rank": 32, "model__tune__alpha": 64}
    for label, name, own in (("LoRA, all blocks", "lora", {}), ("LoRA, last 2 blocks", "lora2", {"model__tune__last_layers": 2})):
        for seed in bench.options.seeds:
            out = bench.hyperfit(name, seed, bench.options.small, **adapters, **own)
            result = bench.alive(f"lora-{label.replace(' ', '-')}-s{seed}", out / "model", "--citations", bench.index(out))
            found.setdefault(label, []).append({**result, "training_loss": last_loss(out)})
    table_with_losses("What is trained: mean (both seeds)", found)
    return found


FEW_MEASURES = {"loss__heldout": 32, "loss__continued": 8, "tune__epochs": 10}


def released(bench):
    """A released model, widened: all weights on 256 samples."""
    base, found = bench.options.released, {}

    def measure(label, seed, model, out, *flags):
        name = f"released-{label.replace(',', '').replace(' ', '-')}-s{seed}"
        found.setdefault(label, []).append(bench.alive(name, model, "--citations", bench.index(out), *flags, seed=seed))
        return found[label][-1]

    for seed in bench.options.seeds:
        out = bench.hyperfit("released", seed, base, **FEW_MEASURES, train__schedule__learning_rate=3e-4)
        after = measure("hyperfit, greedy", seed, out / "model", out)
        measure("hyperfit, citations blocked", seed, out / "model", out, "--block-citations", bench.index(out))
        measure("before, greedy", seed, base, out)
        measure("before, Top-P", seed, base, out, *TOP_P)
        measure("before, repetition penalty 1.3", seed, base, out, "--repetition-penalty", 1.3, "--temperature", 0)
        measure("before, equal entropy", seed, base, out, "--match-entropy", after["entropy"])
    table("A released model: mean (all seeds)", COLUMNS, [row(label, results) for label, results in found.items()])
    return found


def released_lora(bench):
    """The same with adapters on every linear layer of the blocks."""
    adapters = {"train__schedule__learning_rate": 2e-3, "model__tune__what": '"lora"', "model__tune__rank": 32, "model__tune__alpha": 64}
    results = []
    for seed in bench.options.seeds:
        out = bench.hyperfit("released-lora", seed, bench.options.released, **FEW_MEASURES, **adapters)
        results.append({**bench.alive(f"released-lora-s{seed}", out / "model", "--citations", bench.index(out), seed=seed), "training_loss": last_loss(out)})
    table_with_losses("A released model, LoRA of rank 32, greedy: mean (all seeds)", {"LoRA of rank 32": results})
    return results


def last_loss(out):
    losses = [line["loss"] for line in metrics(out) if "loss" in line][-4:]
    return sum(losses) / len(losses)


def sizes(bench):
    """A smaller model of the same recipe, before and after."""
    found = {}
    for name, base in (("small", bench.options.small), ("books-lm", BASE)):
        for seed in bench.options.seeds:
            out = bench.hyperfit("full" if base == BASE else "small", seed, base)
            found.setdefault(f"{name} before", []).append(bench.alive(f"sizes-{name}-before-s{seed}", base, "--citations", bench.index(out)))
            found.setdefault(f"{name} after", []).append(bench.alive(f"sizes-{name}-after-s{seed}", out / "model", "--citations", bench.index(out)))
    table("Two sizes, greedy: mean (both seeds)", COLUMNS, [row(label, results) for label, results in found.items()])
    return found


def pictures(bench):
    """Greedy drawing before and after."""
    rows, found = [], {}
    for seed in bench.options.seeds:
        out = bench.train(f"pictures-s{seed}", "emoji-infinity-hyperfit.toml", {"train.seed": seed, "data.samples_seed": seed})
        for label, model, flags in (("before, greedy", "models/emoji-infinity", ("--tau", 0)), ("before, as shipped", "models/emoji-infinity", ()),
                                    ("after, greedy", out / "model", ("--tau", 0))):
            for split in ("train", "heldout"):
                line = bench.run("eval", "-m", model, "--task", "sprite-retrieval", "--count", 200, "--seed", seed, "--split", split, "--json", *flags)
                found.setdefault(label, {}).setdefault(split, []).append(json.loads(line))
    for label, splits in found.items():
        rows.append([label] + [spread([r[key] for r in splits[split]], "{:.3f}") for split in ("train", "heldout") for key in ("top1", "top5", "variety")])
    table("Pictures: mean (both seeds)", ["", "top-1", "top-5", "variety", "unknown names: top-1", "top-5", "variety"], rows)
    return found


def main():
    options = arguments()
    RUNS.mkdir(parents=True, exist_ok=True)
    bench = Bench(options)
    studies = {"arms": arms, "fewer": fewer, "order": order, "lora": lora, "sizes": sizes, "pictures": pictures, "released": released, "released-lora": released_lora}
    file = RUNS / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    for name, study in studies.items():
        if options.only == name or options.only is None and (not name.startswith("released") or options.released):
            results[name] = study(bench)
            file.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
