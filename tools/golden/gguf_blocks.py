"""Blocks of GGUF files, random and extreme, with the numbers that gguf-py unpacks from them; and numbers with the blocks
that it rounds them to. Needs the package `gguf`."""
import numpy as np
import torch

from gguf import quants
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

from golden import write_fixture

UNPACKED = "q4_0 q4_1 q5_0 q5_1 q8_0 q2_K q3_K q4_K q5_K q6_K iq4_nl iq4_xs".split()
PACKED = "q4_0 q4_1 q5_0 q5_1 q8_0".split()


def blocks_of(kind, rng):
    """[blocks, bytes]: random bytes, every byte value everywhere, zeros, ones."""
    size, length = GGML_QUANT_SIZES[kind]
    rows = 24 if size == 256 else 48
    blocks = rng.integers(0, 256, (rows, length), dtype=np.uint8)
    blocks[0], blocks[1] = 0, 255
    blocks[2] = np.arange(length) & 255
    blocks[3] = 255 - (np.arange(length) & 255)
    half = np.array([0x7C00, 0xFC00, 0x0001, 0x8001, 0x03FF, 0x7BFF], dtype=np.uint16).view(np.uint8).reshape(-1, 2)
    for i, value in enumerate(half):  # infinities, subnormal numbers and the largest, wherever a scale may be
        blocks[4 + i, :2] = value
        blocks[4 + i, -2:] = value
    return blocks


def numbers(rng):
    """[16, 256]: of usual sizes, of mixed sizes, zeros, constants, one outlier, ties."""
    x = rng.standard_normal((16, 256)).astype(np.float32)
    x[4:8] *= np.exp(3 * rng.standard_normal((4, 256))).astype(np.float32)
    x[8], x[9], x[10] = 0, 0.25, -3
    x[11, ::32] = 100
    x[12] = np.round(x[12] * 8) / 8
    x[13] = np.abs(x[13])
    x[14] *= 1e-4
    x[15, :128], x[15, 128:] = np.arange(128) - 64, 0.5 * np.arange(128)
    return x


def main():
    rng = np.random.default_rng(31)
    tensors = {"numbers": torch.from_numpy(numbers(rng))}
    for name in UNPACKED:
        kind = GGMLQuantizationType[name.upper()]
        blocks = blocks_of(kind, rng)
        with np.errstate(all="ignore"):
            tensors[f"{name}.unpacked"] = torch.from_numpy(quants.dequantize(blocks, kind))
        tensors[f"{name}.blocks"] = torch.from_numpy(blocks)
    for name in PACKED:
        tensors[f"{name}.packed"] = torch.from_numpy(quants.quantize(tensors["numbers"].numpy(), GGMLQuantizationType[name.upper()]))
    write_fixture("gguf_blocks", tensors)


if __name__ == "__main__":
    main()
