"""Layers packed in AutoAWQ's gemm layout, restated from its description, with the weights they encode."""
import os

import torch
from safetensors.torch import save_file

from golden import DATA

ORDER = (0, 2, 4, 6, 1, 3, 5, 7)  # nibble i of a word is output ORDER[i] of its eight


def pack(numbers):
    """[rows, columns] of 0..15 -> [rows, columns / 8] int32."""
    rows, columns = numbers.shape
    words = torch.zeros(rows, columns // 8, dtype=torch.int64)
    for column in range(columns // 8):
        for nibble in range(8):
            words[:, column] |= numbers[:, column * 8 + ORDER[nibble]] << (4 * nibble)
    return torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)


def main():
    generator = torch.Generator().manual_seed(11)
    tensors = {}
    for name, inputs, outputs, group in (("small", 16, 8, 8), ("wide", 256, 136, 128), ("tall", 192, 40, 64)):
        q = torch.randint(0, 16, (inputs, outputs), generator=generator)
        zeros = torch.randint(0, 16, (inputs // group, outputs), generator=generator)
        scales = (torch.rand(inputs // group, outputs, generator=generator) * 0.1 + 0.001).half()
        weight = (q - zeros.repeat_interleave(group, 0)).float() * scales.float().repeat_interleave(group, 0)
        tensors[f"{name}.qweight"], tensors[f"{name}.qzeros"] = pack(q), pack(zeros)
        tensors[f"{name}.scales"] = scales
        tensors[f"{name}.weight"] = weight.t().contiguous()  # [out, in]
    save_file(tensors, os.path.join(DATA, "awq.safetensors"))


if __name__ == "__main__":
    main()
