"""The PyTorch side of bench/run: reads one request per line, answers with one JSON object per line.

usage: worker.py MODEL_DIR THREADS BATCH_FILE. Weights, configs, prompts, latents and flips come from files that the engine wrote."""
import json
import math
import os
import resource
import struct
import sys
import time

import torch

from codec_peer import Codec
from infinity_peer import Infinity, training_loss

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "BOOL": torch.bool, "U8": torch.uint8, "I64": torch.int64}


def read_safetensors(path):
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    return {name: torch.frombuffer(data, dtype=DTYPES[e["dtype"]], offset=e["data_offsets"][0], count=math.prod(e["shape"])).view(e["shape"]).clone()
            for name, e in header.items() if math.prod(e["shape"])}


def load(module, directory):
    weights = read_safetensors(os.path.join(directory, "model.safetensors"))
    module.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return module


def config(directory):
    with open(os.path.join(directory, "config.json")) as file:
        return json.load(file)


class Bench:
    def __init__(self, directory, batch_file):
        self.model = load(Infinity(config(directory)), directory)
        self.codec = load(Codec(config(os.path.join(directory, "codec"))), os.path.join(directory, "codec"))
        self.batch, self.optimiser = batch_file and read_safetensors(batch_file), None

    def draw(self, prompt="red apple", count=1, cached=True):
        torch.manual_seed(1)
        self.model.draw(self.codec, [prompt] * count, cfg=3.0, tau=0.5, cached=cached)

    def loss(self):
        flips = [self.batch[f"flips.{k}"] for k in range(len(self.model.c["scales"]))]
        prompts = [bytes(row[row > 0].tolist()).decode() for row in self.batch["prompts"]]
        return training_loss(self.model, prompts, self.batch["dropped"], self.batch["latents"], flips)

    def train(self):
        if self.optimiser is None:
            self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=1e-6, betas=(0.9, 0.97), weight_decay=0.005, fused=True)
        self.optimiser.zero_grad()
        self.loss().backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimiser.step()


def main():
    directory, threads, batch_file = sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None
    torch.set_num_threads(threads)
    bench = Bench(directory, batch_file)
    for line in sys.stdin:
        request = json.loads(line)
        action, begin = request.pop("do"), time.perf_counter()
        value = getattr(bench, action)(**request)
        seconds = time.perf_counter() - begin
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": seconds, "peak_rss": peak, "value": None if value is None else value.item()}), flush=True)


if __name__ == "__main__":
    main()
