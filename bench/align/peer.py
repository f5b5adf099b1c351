"""The PyTorch side of bench/align/run: transformers' generate() in eager PyTorch, reading one request per line.

usage: peer.py MODEL_DIR THREADS. Every answer is as long as it may be, so that no row of a batch waits for another."""
import json
import sys
import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main():
    directory, threads = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    for line in sys.stdin:
        request = json.loads(line)
        count, at_once, tokens = request["count"], request["at_once"], request["tokens"]
        ids = torch.tensor([tokenizer(request["prompt"])["input_ids"]])
        written, begin = 0, time.perf_counter()
        with torch.inference_mode():
            for first in range(0, count, at_once):
                batch = ids.expand(min(at_once, count - first), -1).contiguous()
                out = model.generate(batch, attention_mask=torch.ones_like(batch), do_sample=True, temperature=1.0, top_p=1.0, top_k=0,
                                     max_new_tokens=tokens, min_new_tokens=tokens, pad_token_id=tokenizer.pad_token_id or 0)
                written += (out.shape[1] - ids.shape[1]) * out.shape[0]
        print(json.dumps({"seconds": time.perf_counter() - begin, "tokens": written}), flush=True)


main()
