"""The SciPy side of bench/plan: the ladder paper's two steps as a careful NumPy program would fit them, vectorised, with
analytic derivatives. Reads the table once, then answers one JSON request per line with one JSON object.

usage: plan_peer.py TABLE TASK...    {"do": "fit"} -> {"seconds", "step1", "step2", "predictions"}"""
import csv
import json
import math
import sys
import time

import numpy as np
from scipy.optimize import least_squares, minimize

LAST = 5  # checkpoints that are averaged
CHANCE = {"piqa": 1 / 2, "socialiqa": 1 / 3, "csqa": 1 / 5}
DELTA = 1e-3


class Run:
    """One training run: arrays over its checkpoints."""

    def __init__(self, rows, tasks):
        column = lambda name: np.array([float(row[name]) if row[name] else np.nan for row in rows])
        self.target = rows[0]["role"] == "target"
        self.params, self.tokens = float(rows[0]["n_params"]), float(rows[-1]["tokens"])
        self.bpb = {task: column(f"{task}_bpb") for task in tasks}
        self.acc = {task: column(f"{task}_acc") for task in tasks}


def read_runs(path, tasks):
    rows = {}
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["run"], []).append(row)
    return [Run(sorted(each, key=lambda row: float(row["tokens"])), tasks) for each in rows.values()]


def smoothed(values):
    """Without the first tenth; the mean of the last five up to and including each one, of fewer at the start."""
    values = values[math.ceil(0.1 * len(values)):]
    sums = np.cumsum(np.concatenate(([0.0], values)))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - LAST, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


def fit_loss_law(n, d, loss):
    """L = exp(a) / N^alpha + exp(b) / D^beta + E by the sum of Huber's loss on logarithms."""
    log_n, log_d, log_loss = np.log(n), np.log(d), np.log(loss)
    gradient = np.empty(5)

    def objective(x):
        size, data = np.exp(x[0] - x[2] * log_n), np.exp(x[1] - x[3] * log_d)
        predicted = size + data + x[4]
        residual = np.log(predicted) - log_loss
        slope = np.clip(residual, -DELTA, DELTA)
        value = slope @ (residual - 0.5 * slope)
        slope = slope / predicted
        size *= slope
        data *= slope
        gradient[:] = size.sum(), data.sum(), -(size @ log_n), -(data @ log_d), slope.sum()
        return value, gradient

    options = {"ftol": 1e-15, "gtol": 1e-12, "maxiter": 100000, "maxfun": 100000}
    return minimize(objective, (3, 6, 0.1, 0.2, 1), jac=True, method="L-BFGS-B", bounds=[(0, None)] * 5, options=options)


def fit_sigmoid(loss, accuracy, chance):
    """accuracy = a / (1 + exp(-k (L - L0))) + b by least squares."""
    jacobian = np.empty((len(loss), 4))
    jacobian[:, 3] = 1

    def share(x):
        return 1 / (1 + np.exp(-x[2] * (loss - x[1])))

    def residuals(x):
        return x[0] * share(x) + x[3] - accuracy

    def derivatives(x):
        s = share(x)
        steep = x[0] * s * (1 - s)
        jacobian[:, 0] = s
        jacobian[:, 1] = -x[2] * steep
        jacobian[:, 2] = steep * (loss - x[1])
        return jacobian

    return least_squares(residuals, (chance - 1, 0.9, 3, 1), derivatives, ([-1, 0, 0, 0], [0, np.inf, np.inf, 1]),
                         ftol=1e-12, xtol=1e-12, gtol=1e-12)


def fit_task(ladder, targets, task):
    """Both steps and the targets' accuracies."""
    n, d = (np.array([getattr(run, name) for run in ladder]) for name in ("params", "tokens"))
    law = fit_loss_law(n, d, np.array([run.bpb[task][-LAST:].mean() for run in ladder]))
    loss = np.concatenate([smoothed(run.bpb[task]) for run in ladder] + [[0.0]])  # the last point is the anchor
    accuracy = np.concatenate([smoothed(run.acc[task]) for run in ladder] + [[1.0]])
    curve = fit_sigmoid(loss, accuracy, CHANCE.get(task, 1 / 4))
    (log_a, log_b, alpha, beta, e), (a, l0, k, b) = law.x, curve.x
    predictions = []
    for run in targets:
        reached = math.exp(log_a) / run.params**alpha + math.exp(log_b) / run.tokens**beta + e
        predictions.append(a / (1 + math.exp(-k * (reached - l0))) + b)
    return float(law.fun), float(curve.cost), predictions


def main():
    path, *tasks = sys.argv[1:]
    runs = read_runs(path, tasks)
    ladder, targets = [run for run in runs if not run.target], [run for run in runs if run.target]
    for line in sys.stdin:
        if json.loads(line)["do"] != "fit":
            sys.exit("[bench] unknown request, want fit")
        begin = time.perf_counter()
        fits = [fit_task(ladder, targets, task) for task in tasks]
        seconds = time.perf_counter() - begin
        step1, step2, predictions = zip(*fits)
        print(json.dumps({"seconds": seconds, "step1": step1, "step2": step2, "predictions": sum(predictions, [])}), flush=True)


if __name__ == "__main__":
    main()
