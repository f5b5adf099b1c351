#!/usr/bin/env python3
"""Trains and measures the arms of docs/alma.md's studies on the task of obey.py, and prints their tables.

    python3 tools/studies/obey.py make --books BOOKS -o runs/studies/obey
    python3 tools/studies/align.py [--tessera build/release/tessera] [--threads 1] [--base DIR] [--rounds 10] [--only PART,...]
    python3 tools/studies/align.py --only people --judge MODEL --pandalm FILE --llmbar FILE --seeds seed_tasks.jsonl

rounds: ten rounds once, the true share obeyed by round, beside the judge's score. labels: the base on 50,000 demonstrations.
judge: agreement of the judges with the truth. ablations: three rounds, two seeds, one thing changed at a time. grpo: from the seeds' model.
people: three rounds with a released model, adapters, 100 seeds of Self-Instruct and 250 of PandaLM's pairs as ratings; how its judge agrees with
people's choice between two answers, before and after.
A run that is done is only read; the true reward of a model is kept in runs/studies/obey/true.json. Results are printed as tables.
"""
import argparse
import concurrent.futures
import hashlib
import json
import pathlib
import random
import statistics
import subprocess
import urllib.request

from arms import run, train
import obey

HERE = pathlib.Path("runs/studies/obey")
ALIGN = "recipes/studies/align-obey.toml"
PARTS = ("rounds", "labels", "judge", "grpo", "ablations")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tessera", default="build/release/tessera")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--base", default="runs/studies/obey/base/model")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seeds-of-runs", type=lambda text: [int(word) for word in text.split(",")], default=[1, 2], help="ablations: which seeds")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--judge", help="people: the model directory to begin from")
    for name in ("pandalm", "llmbar", "seeds"):
        parser.add_argument(f"--{name}", help="people: the published file")
    return parser.parse_args()


class Server:
    """`tessera serve` of one model, as long as it is needed."""

    def __init__(self, options, model):
        self.process = subprocess.Popen([options.tessera, "serve", "-m", model, "--port", "0", "--json", "--threads", options.threads],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        text = ""
        while "}" not in text:
            text += self.process.stdout.readline()
        self.address = json.loads(text)["address"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def ask(self, path, body):
        request = urllib.request.Request(self.address + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=600) as answer:
            return json.loads(answer.read())

    def chat(self, question, **more):
        body = {"messages": [{"role": "user", "content": question}], "max_tokens": 48, "temperature": 0, **more}
        return self.ask("/v1/chat/completions", body)["choices"][0]["message"]["content"] or ""


def rows_of(name):
    return [json.loads(line) for line in (HERE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def questions(name, count=400):
    return [row["messages"][0]["content"] for row in rows_of(name)][:count]


def true_reward(options, model):
    """Shares of the test's instructions that a model obeys, at temperature 0, and once at temperature 1; kept by its path and weights."""
    kept = HERE / "true.json"
    known = json.loads(kept.read_text()) if kept.exists() else {}
    key = f"{model} {hashlib.sha256((pathlib.Path(model) / 'model.safetensors').read_bytes()).hexdigest()[:16]}"
    if key not in known:
        asked = questions("test")
        with Server(options, model) as server, concurrent.futures.ThreadPoolExecutor(16) as pool:
            found = {}
            for name, more in (("greedy", {}), ("drawn", {"temperature": 1})):
                answers = list(pool.map(lambda pair: server.chat(pair[1], **more, seed=pair[0]), enumerate(asked)))
                found[name] = obey.summary([{"prompt": q, "answer": a} for q, a in zip(asked, answers)]) | {"examples": answers[:8]}
        known[key] = found
        kept.write_text(json.dumps(known, indent=1))
    return known[key]


def few_shot(options, shots=5):
    """Share obeyed by the base, shown some of the seeds as plain text; beside it answers that were given to other questions (chance)."""
    seeds = [row["messages"] for row in rows_of("seeds")]
    asked = questions("test")
    shown = "".join(f"{question['content']}\n{answer['content']}\n\n" for question, answer in seeds[:shots])
    with Server(options, options.base) as server, concurrent.futures.ThreadPoolExecutor(16) as pool:
        body = {"model": pathlib.Path(options.base).name, "max_tokens": 48, "temperature": 0, "stop": ["\n"]}
        answers = list(pool.map(lambda q: server.ask("/v1/completions", body | {"prompt": shown + q + "\n"})["choices"][0]["text"], asked))
    given = [{"prompt": q, "answer": a} for q, a in zip(asked, answers)]
    others = [{"prompt": q, "answer": a} for q, a in zip(asked, answers[1:] + answers[:1])]
    return obey.summary(given), obey.summary(others), answers[:8]


def align(options, name, recipe=ALIGN, **settings):
    """The folder of a run of tessera align, which is begun or gone on with."""
    out = HERE / name
    sets = {"base": options.base, "seeds": HERE / "seeds.jsonl", "ratings": HERE / "ratings.jsonl"} | settings
    words = [word for key, value in sets.items() for word in ("--set", f"{key}={json.dumps(value) if isinstance(value, bool) else value}")]
    run(options, "align", recipe, "--out", out, *words)
    return out


def table(head, rows):
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for row in rows:
        print("| " + " | ".join(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row) + " |")
    print(flush=True)


def told(options, name, model):
    found = true_reward(options, model)
    return [name, found["greedy"]["strict"], found["greedy"]["lenient"], found["greedy"]["whole"], found["drawn"]["strict"], found["drawn"]["lenient"]]


HEAD = ["model", "strict", "lenient", "whole sentence", "strict, drawn", "lenient, drawn"]


def rounds(options):
    base, chance, examples = few_shot(options)
    table(["base, five examples shown", "strict", "lenient", "whole sentence"],
          [["its answers", base["strict"], base["lenient"], base["whole"]], ["its answers to other questions", chance["strict"], chance["lenient"], chance["whole"]]])
    print(examples)
    out = align(options, "ten", rounds=options.rounds)
    rows = [told(options, "seeds alone", out / "models/sft-1/model")]
    rows += [told(options, f"round {i}", out / f"models/round-{i}/model") for i in range(1, options.rounds + 1)]
    table(HEAD, rows)


def labels(options):
    model = train(options, HERE / "many", "recipes/studies/obey-sft.toml", {"data.chat.path": f'"{HERE / "many.jsonl"}"', "model.from": f'"{options.base}"'})
    table(HEAD, [told(options, "50,000 demonstrations", model)])


def grpo(options):
    first = HERE / "ten/models/sft-1/model"
    model = train(options, HERE / "grpo", "recipes/studies/obey-grpo.toml", {"data.chat.path": f'"{HERE / "pool.jsonl"}"', "model.from": f'"{first}"'})
    table(HEAD, [told(options, "seeds alone", first), told(options, "GRPO from it", model)])


def agreement(options, judge, ratings):
    """[real-valued, integer, ties of the integer form, pairs] of a judge beside ratings."""
    found = json.loads(run(options, "align", "rate", judge, "--ratings", ratings, "--json").splitlines()[-1])
    return [found["real"]["agreement"], found["integer"]["agreement"], found["integer"]["ties"], found["integer"]["pairs"]]


def judge(options):
    models = HERE / "ten/models"
    rows = [[name, *agreement(options, folder, HERE / "ratings-test.jsonl")]
            for name, folder in (("base", options.base), ("tuned on 1,000 ratings", models / "judge/model"), ("and on its own", models / "judge-distilled/model"))]
    table(["judge", "real-valued", "integer", "ties of it", "pairs"], rows)


def pairs_as_ratings(pairs):
    """Marks of 7 and 3 for the better and the worse of two answers."""
    rows = []
    for prompt, better, worse in pairs:
        rows += [{"prompt": prompt, "response": better, "score": 7}, {"prompt": prompt, "response": worse, "score": 3}]
    return rows


def people(options):
    """PandaLM's pairs of which all three people prefer the same answer, and LLMBar's."""
    panda = []
    for row in json.loads(pathlib.Path(options.pandalm).read_text(encoding="utf-8")):
        if len({row["annotator1"], row["annotator2"], row["annotator3"]}) == 1 and row["annotator1"] in (1, 2):
            answers = (row["response1"], row["response2"]) if row["annotator1"] == 1 else (row["response2"], row["response1"])
            if all(isinstance(one, str) and one.strip() for one in answers):
                panda.append((f"{row['instruction']}\n\n{row['input']}".strip(), *answers))
    random.Random(1).shuffle(panda)
    bar = [(row["input"], *((row["output_1"], row["output_2"]) if row["label"] == 1 else (row["output_2"], row["output_1"])))
           for row in json.loads(pathlib.Path(options.llmbar).read_text(encoding="utf-8"))]
    for name, pairs in (("panda-train", panda[:250]), ("panda-test", panda[250:400]), ("llmbar", bar)):
        obey.write_rows(HERE / f"{name}.jsonl", pairs_as_ratings(pairs))
    seeds = [json.loads(line) for line in pathlib.Path(options.seeds).read_text(encoding="utf-8").splitlines()]
    obey.write_rows(HERE / "real-seeds.jsonl", [
        obey.conversation(f"{row['instruction']}\n\n{row['instances'][0]['input']}".strip(), row["instances"][0]["output"]) for row in seeds[:100]])
    out = align(options, "real", "recipes/studies/align-real.toml", base=options.judge, seeds=HERE / "real-seeds.jsonl", ratings=HERE / "panda-train.jsonl")
    rows = []
    for name, folder in (("as it comes", options.judge), ("tuned on 250 pairs", out / "models/judge/model")):
        for test in ("llmbar", "panda-test"):
            rows.append([name, test, *agreement(options, folder, HERE / f"{test}.jsonl")])
    table(["judge", "pairs of", "real-valued", "integer", "ties of it", "pairs"], rows)
    names = ("as it comes", options.judge), ("tuned on 100 seeds", out / "models/sft-1/model"), ("round 3", out / "models/round-3/model")
    table(HEAD, [told(options, name, model) for name, model in names])


def ablations(options):
    arms = {"as it is": {}, "random prompts": {"prompts.diversified": False}, "one SFT model": {"answers.sft_models": 1, "answers.latest": False},
            "two SFT models": {"answers.latest": False}, "half the prompts, twice the answers": {"answers.prompts": 100, "answers.samples": 24},
            "twice the prompts, half the answers": {"answers.prompts": 400, "answers.samples": 6}, "DPO": {"method": "dpo"}}
    rows = []
    for arm, settings in arms.items():
        found = []
        for seed in options.seeds_of_runs:
            out = align(options, f"{arm.replace(' ', '-').replace(',', '')}-s{seed}", rounds=3, seed=seed, **settings)
            found.append(true_reward(options, out / "models/round-3/model"))
        rows.append([arm] + [one["greedy"][key] for key in ("strict", "lenient") for one in found] + [statistics.mean(one["drawn"]["strict"] for one in found)])
    heads = [f"{key}, seed {seed}" for key in ("strict", "lenient") for seed in options.seeds_of_runs]
    table(["three rounds", *heads, "strict, drawn"], rows)


def main():
    options = arguments()
    for part in options.only.split(","):
        print(f"## {part}\n")
        globals()[part](options)


if __name__ == "__main__":
    main()
