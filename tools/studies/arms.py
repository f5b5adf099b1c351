"""What the studies share: running tessera, and training an arm once however often a study is started."""
import math
import subprocess


def run(options, *words):
    """Standard output of `tessera words`."""
    command = [options.tessera, *map(str, words), "--threads", options.threads, "--quiet"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def train(options, out, recipe, settings):
    """The model directory of a run, which is begun, resumed or taken as it is."""
    if not (out / "model" / "config.json").exists():
        sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        run(options, "train", *(["--resume", out] if (out / "metrics.jsonl").exists() else [recipe, "--out", out, *sets]))
    return out / "model"


def interval(differences):
    """Mean of paired differences with its normal interval at 95%."""
    mean = sum(differences) / len(differences)
    spread = math.sqrt(sum((d - mean) ** 2 for d in differences) / max(1, len(differences) - 1) / len(differences))
    return mean, 1.96 * spread
