"""The PyTorch side of bench/lm/run: a decoder of Qwen2's, Llama's or Gemma's shape in eager PyTorch, reading one request per line, answering with one JSON object.

usage: peer.py MODEL_DIR DTYPE THREADS [DEVICE]. Fused projections' calls, scaled_dot_product_attention with grouped heads, a cache allocated once."""
import json
import mmap
import os
import struct
import sys
import time
from functools import partial

import torch
import torch.nn.functional as F

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def read_weights(path, dtype):
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        data = torch.frombuffer(mapped, dtype=torch.uint8)
    header.pop("__metadata__", None)
    weights = {}
    for name, entry in header.items():
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        weights[name] = data[begin:end].view(DTYPES[entry["dtype"]]).view(entry["shape"]).to(dtype, copy=True)
        mapped.madvise(mmap.MADV_DONTNEED)  # copied: peak memory should not count the file too
    return weights


class Decoder:
    def __init__(self, directory, dtype, device):
        with open(os.path.join(directory, "config.json")) as file:
            c = json.load(file)
        self.device = device
        gemma = c.get("model_type") == "gemma"  # norms store w - 1, the embedding is scaled, the gate is a GELU
        self.scale, self.gate = (c["hidden_size"] ** 0.5, partial(F.gelu, approximate="tanh")) if gemma else (1.0, F.silu)
        self.w = {name: t.to(device) for name, t in read_weights(os.path.join(directory, "model.safetensors"), dtype).items()}
        if gemma:
            self.w |= {name: t + 1 for name, t in self.w.items() if name.endswith("norm.weight")}
        self.dtype, self.depth, self.width, self.eps = dtype, c["num_hidden_layers"], c["hidden_size"], c["rms_norm_eps"]
        self.heads, self.groups, self.vocabulary = c["num_attention_heads"], c["num_key_value_heads"], c["vocab_size"]
        self.head_dim = c.get("head_dim") or self.width // self.heads
        theta = c.get("rope_theta") or c["rope_parameters"]["rope_theta"]
        self.frequencies = 1.0 / theta ** (torch.arange(0, self.head_dim, 2, device=device).float() / self.head_dim)
        self.blocks = [{name[len(f"model.layers.{i}."):]: t for name, t in self.w.items() if name.startswith(f"model.layers.{i}.")}
                       for i in range(self.depth)]

    def cache(self, length, rows=1):
        """For rows side by side, all of one length."""
        shape = (rows, self.groups, length, self.head_dim)
        return [tuple(torch.empty(shape, dtype=self.dtype, device=self.device) for _ in "kv") for _ in range(self.depth)]

    def turn(self, x, cos, sin):
        low, high = x.chunk(2, -1)
        return torch.cat((low * cos - high * sin, high * cos + low * sin), -1).to(self.dtype)

    def attention(self, b, x, cos, sin, kept, begin):
        rows, length = x.shape[:2]
        q, k, v = (F.linear(x, b[f"self_attn.{n}_proj.weight"], b.get(f"self_attn.{n}_proj.bias")).view(rows, length, -1, self.head_dim).transpose(1, 2)
                   for n in "qkv")
        q, k = self.turn(q, cos, sin), self.turn(k, cos, sin)
        keys, values = kept
        keys[:, :, begin:begin + length], values[:, :, begin:begin + length] = k, v
        end = begin + length
        y = F.scaled_dot_product_attention(q, keys[:, :, :end], values[:, :, :end], is_causal=length > 1, enable_gqa=True)
        return F.linear(y.transpose(1, 2).flatten(2), b["self_attn.o_proj.weight"])

    def norm(self, x, weight):
        return F.rms_norm(x, (self.width,), weight, self.eps)

    def forward(self, ids, cache, begin):
        """Logits of the last position. A prompt comes whole, at position 0."""
        x = F.embedding(ids, self.w["model.embed_tokens.weight"]) * self.scale
        angles = torch.arange(begin, begin + ids.shape[1], device=self.device).float()[:, None] * self.frequencies
        cos, sin = angles.cos(), angles.sin()
        for b, kept in zip(self.blocks, cache):
            x = x + self.attention(b, self.norm(x, b["input_layernorm.weight"]), cos, sin, kept, begin)
            y = self.norm(x, b["post_attention_layernorm.weight"])
            y = self.gate(F.linear(y, b["mlp.gate_proj.weight"])) * F.linear(y, b["mlp.up_proj.weight"])
            x = x + F.linear(y, b["mlp.down_proj.weight"])
        x = self.norm(x[:, -1], self.w["model.norm.weight"])
        return F.linear(x, self.w.get("lm_head.weight", self.w["model.embed_tokens.weight"])).float()

    def ids(self, count):
        return ((torch.arange(count, device=self.device) * 7919 + 13) % self.vocabulary)[None]

    def logits(self, tokens):
        logits = self.forward(self.ids(tokens), self.cache(tokens), 0)
        return {"magnitude": logits.abs().sum().item(), "largest": logits.argmax().item()}

    def prefill(self, tokens):
        ids, begin = self.ids(tokens), time.perf_counter()
        self.forward(ids, self.cache(tokens), 0).argmax(-1).cpu()
        return {"seconds": time.perf_counter() - begin}

    def decode(self, prompt, tokens):
        cache = self.cache(prompt + tokens)
        next_id = self.forward(self.ids(prompt), cache, 0).argmax(-1)
        next_id.cpu()
        begin = time.perf_counter()
        for i in range(tokens):
            next_id = self.forward(next_id[None], cache, prompt + i).argmax(-1)
        next_id.cpu()
        return {"seconds": time.perf_counter() - begin}

    def probe(self):
        """Of a card: bytes a second that large copies read and write, and the rate of a large product in this format."""
        from_, to = (torch.empty(1 << 30, dtype=torch.uint8, device=self.device).random_() for _ in range(2))
        a, b = (torch.randn(8192, 8192, dtype=self.dtype, device=self.device) for _ in range(2))
        return {"read_bandwidth": 2 * from_.numel() / self.median_seconds(lambda: to.copy_(from_)),
                "multiply_add_peak": 2 * 8192**3 / self.median_seconds(lambda: a @ b), "card": torch.cuda.get_device_name(self.device)}

    @staticmethod
    def median_seconds(work, repeats=10):
        times = []
        for _ in range(repeats + 1):
            torch.cuda.synchronize()
            begin = time.perf_counter()
            work()
            torch.cuda.synchronize()
            times.append(time.perf_counter() - begin)
        return sorted(times[1:])[repeats // 2]


def main():
    directory, dtype, threads = sys.argv[1], {"fp32": torch.float32, "bf16": torch.bfloat16}[sys.argv[2]], int(sys.argv[3])
    torch.set_num_threads(threads)
    with torch.inference_mode():
        decoder = Decoder(directory, dtype, torch.device(sys.argv[4] if len(sys.argv) > 4 else "cpu"))
        for line in sys.stdin:
            request = json.loads(line)
            print(json.dumps(getattr(decoder, request.pop("do"))(**request)), flush=True)


if __name__ == "__main__":
    main()
