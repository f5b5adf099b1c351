"""MMLU in small: two subjects whose rows pyarrow writes as Arrow streams, tests/golden/data/mmlu.

Made-up questions in the types of the published files; `science/test` has two record batches."""
from pathlib import Path

import pyarrow as pa

DATA = Path(__file__).resolve().parents[2] / "tests" / "golden" / "data"

TYPES = pa.schema([("question", pa.string()), ("subject", pa.string()), ("choices", pa.list_(pa.string())),
                   ("answer", pa.int64())], metadata={"huggingface": "{}"})


def rows(subject, split, count):
    return [{"question": f" What is {i} of {split}? ", "subject": subject,
             "choices": [f"{subject} é {i}", "two words", "x", f"{i}"], "answer": (i + 1) % 4} for i in range(count)]


def write(subject, split, batches):
    folder = DATA / "mmlu" / subject / split
    folder.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as file, pa.ipc.new_stream(file, TYPES) as stream:
        for batch in batches:
            stream.write_batch(pa.RecordBatch.from_pylist(batch, schema=TYPES))


def main():
    for subject, batches in (("abstract_algebra", 1), ("world_religions", 2)):
        write(subject, "dev", [rows(subject, "dev", 5)])
        write(subject, "test", [rows(subject, "test", 3)] * batches)


if __name__ == "__main__":
    main()
