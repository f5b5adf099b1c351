"""What the studies share: running tessera, and training an arm once however often a study is started."""
import json
import math
import subprocess
import tomllib


def run(options, *words):
    """Standard output of `tessera words`."""
    command = [options.tessera, *map(str, words), "--threads", options.threads, "--quiet"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def metrics(out):
    """The lines of a run's metrics.jsonl; none of one that never began."""
    file = out / "metrics.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def finished(out):
    """Whether a run came to its last step, or to the loss that ends it: one that was interrupted has a model as well."""
    if not (out / "model" / "config.json").exists():
        return False
    settings = tomllib.loads((out / "recipe.toml").read_text())["train"]
    return settings.get("stop_loss", 0) > 0 or max(line["step"] for line in metrics(out)) >= settings["steps"]


def train(options, out, recipe, settings):
    """The model directory of a run, which is begun, resumed or taken as it is."""
    if not finished(out):
        sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        run(options, "train", *(["--resume", out] if metrics(out) else [recipe, "--out", out, *sets]))
    return out / "model"


def interval(differences):
    """Mean of paired differences with its normal interval at 95%."""
    mean = sum(differences) / len(differences)
    spread = math.sqrt(sum((d - mean) ** 2 for d in differences) / max(1, len(differences) - 1) / len(differences))
    return mean, 1.96 * spread


def paired_table(files, kind_of, names, tokens, against):
    """Accuracies of arms that were asked the same questions, as a table. files: arm -> answers of `tessera eval`; kind_of(row): its line;
    names, tokens: arm -> head, ("tokens of what", arm -> number); against: arm -> (the arm it is compared to, what is said of that)."""
    answers = {arm: [json.loads(line) for line in path.read_text().splitlines()] for arm, path in files.items()}
    first = next(iter(answers.values()))
    for rows in answers.values():
        assert [(row["question"], row["answer"]) for row in rows] == [(row["question"], row["answer"]) for row in first], "the arms were asked different questions"
    lines = ["| question | of | " + " | ".join(names[arm] for arm in answers) + " |", "|---" * (len(answers) + 2) + "|"]
    lines.append(f"| {tokens[0]} | | " + " | ".join(str(tokens[1][arm]) for arm in answers) + " |")
    for kind in ["all", *sorted({kind_of(row) for row in first})]:
        rights = {arm: [float(row["right"]) for row in rows if kind in ("all", kind_of(row))] for arm, rows in answers.items()}
        cells = {arm: f"{sum(right) / len(right):.3f}" for arm, right in rights.items()}
        for arm, (other, said) in against.items():
            if arm in rights and other in rights:
                mean, half = interval([a - b for a, b in zip(rights[arm], rights[other])])
                cells[arm] += f" ({100 * mean:+.1f} ± {100 * half:.1f}{said})"
        lines.append(f"| {kind} | {len(next(iter(rights.values())))} | " + " | ".join(cells.values()) + " |")
    return "\n".join(lines) + "\n"
