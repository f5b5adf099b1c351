"""A linear layer in 8-bit floating point, by PyTorch's own casts: E4M3 for activations and weights, E5M2 for the gradient of the output,
one scale per tensor. Writes tests/golden/data/fp8.safetensors.
"""
import sys

import torch

from golden import write_fixture


def cast(t, dtype):
    """The tensor as 8 bits can say it, its largest magnitude at the format's largest number."""
    scale = t.abs().max() / torch.finfo(dtype).max
    return (t / scale).to(dtype).to(torch.float32) * scale


def main():
    generator = torch.Generator().manual_seed(8)
    x = torch.randn(3, 7, 24, generator=generator) * torch.logspace(-3, 1, 24)  # far apart, so that small ones are lost
    weight = torch.randn(18, 24, generator=generator) * 0.2
    gradient = torch.randn(3, 7, 18, generator=generator) * 1e-3
    x8, w8, g8 = cast(x, torch.float8_e4m3fn), cast(weight, torch.float8_e4m3fn), cast(gradient, torch.float8_e5m2)
    write_fixture("fp8", {"x": x, "weight": weight, "gradient": gradient, "y": x8 @ w8.T, "to_x": g8 @ w8,
                          "to_weight": torch.einsum("bto,bti->oi", g8, x8)})


if __name__ == "__main__":
    if "--counts" not in sys.argv:
        main()
