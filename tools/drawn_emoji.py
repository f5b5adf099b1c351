#!/usr/bin/env python3
"""Draws the names of models/emoji-infinity and writes the drawings as conversations, training data of recipes/emoji-nvila-scale.toml.

    python3 tools/drawn_emoji.py [--tessera build/release/tessera] [--seeds 11 12] [--out runs/drawn]
"""
import argparse
import json
import pathlib
import subprocess


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tessera", default="build/release/tessera")
    parser.add_argument("--seeds", nargs="+", default=["11", "12"])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/drawn"))
    options = parser.parse_args()

    def run(*words):
        subprocess.run([options.tessera, *map(str, words), "--quiet"], check=True, capture_output=True)

    options.out.mkdir(parents=True, exist_ok=True)
    run("data", "emoji", "--kind", "sprite", "--names", 640, "--names-seed", 8, "--count", 640, "--out", options.out / "sprites")
    rows = [json.loads(line) for line in (options.out / "sprites" / "captions.jsonl").read_text().splitlines()]
    names = [row["caption"] for row in rows]
    (options.out / "names.txt").write_text("\n".join(names) + "\n")
    lines = []
    for seed in options.seeds:
        run("draw", "-m", "models/emoji-infinity", "--prompts", options.out / "names.txt", "-o", options.out / f"seed{seed}.png", "--seed", seed)
        for i, name in enumerate(names, 1):
            lines.append(json.dumps({"image": f"seed{seed}-{i}.png", "messages": [{"role": "user", "content": "What is this?"}, {"role": "assistant", "content": name}]}))
    (options.out / "drawn.jsonl").write_text("\n".join(lines) + "\n")
    print(f"{len(lines)} conversations in {options.out / 'drawn.jsonl'}")


if __name__ == "__main__":
    main()
