"""What both twins share: seeded weights, the ten-step AdamW run, and fixture files.

A twin is written a second time from the papers' equations, so that it and the C++ engine can only agree by both being
right. Nothing here imports Tessera.
"""
import json
import math
import os

import torch
from safetensors.torch import save_file

DATA = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "golden", "data")


WORD = (1 << 64) - 1


class Rng:
    """The engine's counter-based generator (splitmix64's finaliser over a keyed counter), for draws made inside it."""

    def __init__(self, seed, stream=0):
        self.key = self._mix(self._mix(seed) ^ (stream * 0xD1B54A32D192ED03 & WORD))
        self.counter = 0

    @staticmethod
    def _mix(x):
        x = (x + 0x9E3779B97F4A7C15) & WORD
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & WORD
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & WORD
        return x ^ (x >> 31)

    def split(self, stream):
        return Rng(self.key, stream + 1)

    def next(self):
        self.counter += 1
        return self._mix(self.key ^ self._mix(self.counter - 1))

    def uniform(self):
        return (self.next() >> 11) * 2.0**-53

    def below(self, n):
        return self.next() * n >> 64


class Weights(dict):
    """Named tensors. `w.at("blocks.0.sa")` is the view whose names start with that prefix."""

    def at(self, prefix):
        return Weights({k[len(prefix) + 1:]: v for k, v in self.items() if k.startswith(prefix + ".")})


def seeded(shapes, seed, scale):
    """A tensor for each (name, shape). `scale(name, shape)` gives (centre, spread) of a normal draw, so that no
    parameter starts at zero: a gate or bias at zero would hide what lies behind it from the comparison."""
    generator = torch.Generator().manual_seed(seed)
    weights = Weights()
    for name, shape in shapes:
        centre, spread = scale(name, shape)
        weights[name] = (centre + spread * torch.randn(shape, generator=generator)).requires_grad_()
    return weights


def fan_in_spread(shape):
    return 1.0 / math.sqrt(math.prod(shape[1:]) if len(shape) > 1 else shape[0])


def ten_losses(weights, loss, decays, lr=1e-3, weight_decay=0.05, clip=5.0):
    """Ten AdamW steps (.9, .97), gradients clipped to a norm of 5. `loss(weights, step)`; returns the loss before each
    step. Works on copies."""
    copies = Weights({k: v.detach().clone().requires_grad_() for k, v in weights.items()})
    groups = [{"params": [v for k, v in copies.items() if decays(k, v)], "weight_decay": weight_decay},
              {"params": [v for k, v in copies.items() if not decays(k, v)], "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, betas=(0.9, 0.97), eps=1e-8)
    losses = []
    for step in range(10):
        for copy in copies.values():  # zeros, not absent: a tensor that had no part in a step still moves by its momentum
            copy.grad = torch.zeros_like(copy)
        value = loss(copies, step)
        value.backward()
        torch.nn.utils.clip_grad_norm_(copies.values(), clip)
        optimiser.step()
        losses.append(value.item())
    return torch.tensor(losses)


def gradients(weights, value):
    """Gradient of `value` for every weight; zeros where it does not depend on one."""
    grads = torch.autograd.grad(value, list(weights.values()), allow_unused=True)
    return {k: torch.zeros_like(v) if g is None else g for (k, v), g in zip(weights.items(), grads)}


def write_fixture(name, tensors, **metadata):
    """tests/golden/data/NAME.safetensors; must stay below 1 MB, because history keeps every copy."""
    path = os.path.join(DATA, name + ".safetensors")
    os.makedirs(DATA, exist_ok=True)
    save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()}, path,
              metadata={k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()})
    size = os.path.getsize(path)
    assert size < 1_000_000, f"{path} has {size} bytes"
    print(f"{os.path.relpath(path)}: {size} bytes, {len(tensors)} tensors")
