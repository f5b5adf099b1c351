"""Pillow's bicubic and Lanczos resizing on noise, edges and flat colours of odd sizes, for src/media/resize.cc."""
import numpy as np
import torch
from PIL import Image, __version__

from golden import write_fixture

# width, height, new width, new height, channels: up and down, both ways at once, single pixels, both orders of the passes
CASES = [(31, 17, 14, 14, 3), (14, 14, 31, 17, 3), (40, 9, 13, 27, 3), (9, 40, 27, 13, 3), (64, 48, 28, 28, 3), (64, 48, 28, 28, 4),
         (23, 61, 22, 7, 4), (61, 23, 7, 22, 4), (1, 1, 5, 3, 3), (5, 3, 1, 1, 4), (33, 20, 33, 45, 3), (33, 20, 45, 20, 4),
         (150, 100, 7, 5, 3), (7, 5, 60, 50, 4), (18, 40, 37, 11, 3), (20, 30, 19, 29, 3)]


def picture(generator, width, height, channels, kind):
    noise = torch.randint(0, 256, (height, width, channels), generator=generator, dtype=torch.uint8)
    if kind == "edges":  # what overshoots and is clipped
        return (noise > 127).to(torch.uint8) * 255
    return noise


def main():
    generator = torch.Generator().manual_seed(7)
    tensors, lanczos = {}, {}
    for i, (width, height, new_width, new_height, channels) in enumerate(CASES):
        before = picture(generator, width, height, channels, "edges" if i % 3 == 1 else "noise")
        resized = Image.fromarray(before.numpy()).resize((new_width, new_height), Image.Resampling.BICUBIC)
        tensors[f"before.{i}"] = before
        tensors[f"after.{i}"] = torch.from_numpy(np.array(resized))
        resized = Image.fromarray(before.numpy()).resize((new_width, new_height), Image.Resampling.LANCZOS)
        lanczos[f"before.{i}"] = before
        lanczos[f"after.{i}"] = torch.from_numpy(np.array(resized))
    write_fixture("resize", tensors, pillow=__version__)
    write_fixture("resize_lanczos", lanczos, pillow=__version__)


if __name__ == "__main__":
    main()
