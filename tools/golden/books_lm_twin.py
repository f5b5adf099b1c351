"""What a small language model that ships writes, by transformers: tests/golden/data/NAME.json.

    python tools/golden/books_lm_twin.py [books-lm | books-lm-hyperfit]

Greedy in fp32. A step whose two best logits are closer than 1e-3 would make the text a matter of rounding, so the
fixture ends before it."""
import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

root = Path(__file__).resolve().parents[2]
name = sys.argv[1] if len(sys.argv) > 1 else "books-lm"
prompts = ["Once", "“I do not know,” said", "It was a dark"]


def greedy(model, ids, most):
    written = []
    while len(written) < most:
        logits = model(torch.tensor([ids + written])).logits[0, -1]
        best = torch.topk(logits, 2)
        if best.values[0] - best.values[1] < 1e-3 or best.indices[0] == model.config.eos_token_id:
            break
        written.append(int(best.indices[0]))
    return written


def main():
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(root / "models" / name)
    model = AutoModelForCausalLM.from_pretrained(root / "models" / name, dtype=torch.float32).eval()
    rows = []
    with torch.no_grad():
        for prompt in prompts:
            ids = tokenizer(prompt)["input_ids"]
            written = greedy(model, ids, 48)
            text = tokenizer.decode(written, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            rows.append({"prompt": prompt, "ids": ids, "written": written, "text": text})
    out = root / f"tests/golden/data/{name}.json"
    out.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    for row in rows:
        print(f"{row['prompt']}|{row['text']}  ({len(row['written'])} tokens)")


main()
