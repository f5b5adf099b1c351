"""Further programs that know nothing of Tessera, against a server that runs: llm-comply (answers against the specification's schemas), schemathesis
(requests made up from tests/clients/openapi.yaml, well and badly formed), and lm-evaluation-harness, whose numbers must be those of `tessera eval`."""
import json
import os
import subprocess
import sys
import tempfile

TASK = """task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: prompt
doc_to_choice: choices
doc_to_target: answer
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""


def comply(address):
    """llm-comply's two sets of tests, as a score: what a model of a few million parameters says is not judged."""
    for which in ("openai-chat", "open-responses"):
        words = [sys.executable, "-m", "llm_comply.cli", "run", "-u", address + "/v1", "-m", "emoji-nvila", "-k", "none", "--format", which]
        subprocess.run(words, check=False)


def schemathesis(address, examples=20):
    """Every path with requests that the file allows and with ones that it does not; True when nothing was found."""
    here = os.path.dirname(os.path.realpath(__file__))
    # Without --checks, which would outweigh the file: all checks are on but the one that it takes out.
    words = [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "--config-file", os.path.join(here, "schemathesis.toml"), "run",
             os.path.join(here, "openapi.yaml"), "--url", address, "--max-examples", str(examples), "--seed", "1", "--generation-database", "none",
             "--suppress-health-check", "all"]
    with tempfile.TemporaryDirectory() as folder:  # it leaves a report where it runs
        return subprocess.run(words, check=False, cwd=folder).returncode == 0


def questions(count=24):
    """Rows of four choices each; which is right does not matter here, since two programs are compared."""
    begins = ["Once upon a time there was a", "The old house stood at the end of the", "She looked at him and", "It was a cold morning, and the",
              "He put the letter into his", "The captain came on deck and"]
    ends = ["king who had three sons.", "said nothing at all.", "wind blew from the sea.", "pocket, and went out."]
    return [{"prompt": begins[i % 6] + (" little" if i >= 6 else "") + (" and very" if i >= 12 else "") + (" quiet" if i >= 18 else ""),
             "choices": ends, "answer": i % 4} for i in range(count)]


def harness(address, tessera, root):
    """The log likelihood of every choice by lm-evaluation-harness through HTTP and by `tessera eval`; True when all agree to 1e-6."""
    model = os.path.join(root, "models/books-lm")
    with tempfile.TemporaryDirectory() as folder:
        rows, answers = os.path.join(folder, "rows.jsonl"), os.path.join(folder, "answers.jsonl")
        with open(rows, "w") as out:
            out.writelines(json.dumps(row) + "\n" for row in questions())
        with open(os.path.join(folder, "task.yaml"), "w") as out:
            out.write(TASK.format(name="tessera_rows", rows=rows))
        subprocess.run([tessera, "eval", "-m", model, "--task", "choice", "--data", rows, "--answers", answers, "--json"], check=True, stdout=subprocess.DEVNULL)
        arguments = f"model=books-lm,base_url={address}/v1/completions,tokenizer={model},tokenizer_backend=huggingface,tokenized_requests=True,add_bos_token=True"
        subprocess.run([sys.executable, "-m", "lm_eval", "--model", "local-completions", "--model_args", arguments, "--tasks", "tessera_rows", "--include_path", folder,
                        "--output_path", os.path.join(folder, "out"), "--log_samples"], check=True, env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"})
        samples = [os.path.join(at, name) for at, _, names in os.walk(os.path.join(folder, "out")) for name in names if name.startswith("samples_")]
        with open(samples[0]) as lines:
            by_http = {sample["doc"]["prompt"]: [float(response[0][0]) for response in sample["resps"]] for sample in map(json.loads, lines)}
        with open(answers) as lines:
            by_eval = [json.loads(line) for line in lines]
    compared, worst = 0, 0.0
    for row, line in zip(questions(), by_eval):
        for http, nats in zip(by_http[row["prompt"]], line["nats"]):
            worst = max(worst, abs(http + nats))
            compared += 1
    print(f"lm-evaluation-harness through HTTP against tessera eval: {compared} log likelihoods, the largest difference {worst:.3g}")
    return compared == 96 and worst <= 1e-6
