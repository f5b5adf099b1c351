"""What the benchmarks share: workers that answer line by line, two sides that take turns, rows of medians.

On a machine that does other work beside, the processor time is the steadier of the two that every row gives."""
import glob
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ENVIRONMENT = os.environ | {"OMP_WAIT_POLICY": "passive"}


class Worker:
    """A process that answers requests line by line."""

    def __init__(self, *command, **environment):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT | environment)

    def cpu_seconds(self):
        """Processor time of all its threads so far."""
        spent = 0
        for schedstat in glob.glob(f"/proc/{self.process.pid}/task/*/schedstat"):
            with open(schedstat) as file:
                spent += int(file.read().split()[0])
        return spent * 1e-9

    def ask(self, **request):
        cpu = self.cpu_seconds()
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"[bench] {self.process.args[0]} ended while doing {request}")
        return json.loads(line) | {"cpu_seconds": self.cpu_seconds() - cpu}

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def alternate(repeats, a, b):
    """Runs a() and b() in turn, once to warm up; returns the answers of both."""
    a(), b()
    times = ([], [])
    for i in range(repeats):
        for which in (0, 1) if i % 2 == 0 else (1, 0):
            times[which].append((a, b)[which]())
    return times


def compare(table, what, names, answers):
    """Adds a row: how many times as fast the first is as the second, by wall clock and by processor time."""
    median = {kind: [statistics.median(answer[kind] for answer in side) for side in answers] for kind in ("seconds", "cpu_seconds")}
    (a, b), (a_cpu, b_cpu) = median["seconds"], median["cpu_seconds"]
    table.append({"what": what, "a": names[0], "b": names[1], "a_ms": 1e3 * a, "b_ms": 1e3 * b, "ratio": b / a,
                  "a_cpu_ms": 1e3 * a_cpu, "b_cpu_ms": 1e3 * b_cpu, "cpu_ratio": b_cpu / a_cpu, "repeats": len(answers[0])})
    print(f"{what:31} {names[0]:>10} {1e3 * a:8.1f} ms ({1e3 * a_cpu:7.1f} cpu)  {names[1]:>8} {1e3 * b:8.1f} ms ({1e3 * b_cpu:7.1f} cpu)  "
          f"x{b / a:.2f} (cpu x{b_cpu / a_cpu:.2f})", flush=True)


def process(command):
    """Runs a command; returns seconds and peak resident bytes."""
    begin = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    if status:
        sys.exit(f"[bench] {' '.join(command)} failed")
    return {"seconds": time.perf_counter() - begin, "cpu_seconds": usage.ru_utime + usage.ru_stime, "peak_rss": usage.ru_maxrss * 1024}


def processes(table, runs, repeats):
    """Adds a row for each command of `runs`, in turn a process of its own: time and memory."""
    answers = {name: [] for name in runs}
    for _ in range(repeats):
        for name, command in runs.items():
            answers[name].append(process(command))
    for name, all_answers in answers.items():
        ms, cpu_ms = (1e3 * statistics.median(answer[kind] for answer in all_answers) for kind in ("seconds", "cpu_seconds"))
        least, peak = 1e3 * min(answer["seconds"] for answer in all_answers), max(answer["peak_rss"] for answer in all_answers) / 1e6
        table.append({"what": name, "ms": ms, "least_ms": least, "cpu_ms": cpu_ms, "peak_rss_mb": peak})
        print(f"{name:31} {ms:8.1f} ms (least {least:.1f}, {cpu_ms:.1f} cpu)   peak RSS {peak:.0f} MB", flush=True)


def python_with(modules, *candidates):
    """The first Python that can import `modules`: PYTHON, the candidates, python3; None when none can."""
    for python in (os.environ.get("PYTHON"), *candidates, "python3"):
        if python and shutil.which(python) and subprocess.run([python, "-c", f"import {modules}"], capture_output=True).returncode == 0:
            return python
    return None


def write_rows(path, rows, **about):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w") as file:
        json.dump(about | {"rows": rows}, file, indent=2)
    print(f"written to {path}")
