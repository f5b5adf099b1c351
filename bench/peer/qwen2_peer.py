"""The PyTorch side of bench/int4: an eager Qwen2 with random weights, a fixed-size cache and scaled_dot_product_attention.

usage: qwen2_peer.py THREADS. Requests as those of bench/int4_worker.cc; load also takes "dtype": "float32" or "bfloat16"."""
import json
import sys
import time

import torch
import torch.nn.functional as F

SHAPES = {  # width, depth, heads, kv heads, head dim, hidden, vocabulary
    "qwen2.5-0.5b": (896, 24, 14, 2, 64, 4864, 151936),
    "qwen2.5-1.5b": (1536, 28, 12, 2, 128, 8960, 151936),
}


class Qwen2:
    def __init__(self, preset, dtype):
        self.width, self.depth, self.heads, self.kv, self.dim, self.hidden, self.vocabulary = SHAPES[preset]
        c, q, kv, h = self.width, self.heads * self.dim, self.kv * self.dim, self.hidden

        def weight(out, inputs):
            return (torch.randn(out, inputs, dtype=torch.float32) / inputs**0.5).to(dtype)

        self.words = (torch.randn(self.vocabulary, c) * 0.02).to(dtype)
        self.blocks = [{"q": weight(q, c), "k": weight(kv, c), "v": weight(kv, c), "o": weight(c, q), "gate": weight(h, c), "up": weight(h, c),
                        "down": weight(c, h), "qb": torch.zeros(q, dtype=dtype), "kb": torch.zeros(kv, dtype=dtype),
                        "vb": torch.zeros(kv, dtype=dtype), "n1": torch.ones(c, dtype=dtype), "n2": torch.ones(c, dtype=dtype)}
                       for _ in range(self.depth)]
        self.norm, self.dtype = torch.ones(c, dtype=dtype), dtype
        angles = torch.arange(4096)[:, None] * 1e6 ** (-torch.arange(0, self.dim, 2) / self.dim)
        self.cos, self.sin = torch.cat([angles, angles], 1).cos().to(dtype), torch.cat([angles, angles], 1).sin().to(dtype)
        self.empty(4096)

    def empty(self, room):
        self.keys = torch.zeros(self.depth, 1, self.kv, room, self.dim, dtype=self.dtype)
        self.values, self.length = torch.zeros_like(self.keys), 0

    def turn(self, x, begin):
        cos, sin = self.cos[begin:begin + x.shape[2]], self.sin[begin:begin + x.shape[2]]
        first, second = x.chunk(2, -1)
        return x * cos + torch.cat([-second, first], -1) * sin

    def rms(self, x, weight):
        return F.rms_norm(x, (self.width,), weight, 1e-6)

    def forward(self, ids):
        x, begin, count = F.embedding(ids, self.words), self.length, ids.shape[1]
        for i, b in enumerate(self.blocks):
            y = self.rms(x, b["n1"])
            q = self.turn(F.linear(y, b["q"], b["qb"]).view(1, count, self.heads, self.dim).transpose(1, 2), begin)
            k = self.turn(F.linear(y, b["k"], b["kb"]).view(1, count, self.kv, self.dim).transpose(1, 2), begin)
            self.keys[i, :, :, begin:begin + count] = k
            self.values[i, :, :, begin:begin + count] = F.linear(y, b["v"], b["vb"]).view(1, count, self.kv, self.dim).transpose(1, 2)
            keys, values = self.keys[i, :, :, :begin + count], self.values[i, :, :, :begin + count]
            y = F.scaled_dot_product_attention(q, keys, values, is_causal=count > 1, enable_gqa=True)
            x = x + F.linear(y.transpose(1, 2).reshape(1, count, -1), b["o"])
            y = self.rms(x, b["n2"])
            x = x + F.linear(F.silu(F.linear(y, b["gate"])) * F.linear(y, b["up"]), b["down"])
        self.length += count
        return F.linear(self.rms(x[:, -1], self.norm), self.words).float()


def main():
    torch.set_num_threads(int(sys.argv[1]))
    torch.set_grad_enabled(False)
    model = None
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "load":
            model = None
            model = Qwen2(request["preset"], getattr(torch, request["dtype"]))
            print("{}", flush=True)
            continue
        model.empty(4096)
        if request["do"] == "decode":
            model.forward(torch.randint(model.vocabulary, (1, request["context"])))
        ids = torch.randint(model.vocabulary, (1, request.get("length", 1)))
        begin = time.perf_counter()
        for _ in range(request.get("tokens", 1)):
            model.forward(ids)
        print(json.dumps({"seconds": time.perf_counter() - begin}), flush=True)


if __name__ == "__main__":
    main()
