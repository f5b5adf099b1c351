"""Twin of the picture codec: convolutional autoencoder around a multi-scale bitwise quantiser (BSQ).

Structure of the released Infinity VAE (arXiv 2412.04431, section 3.2) and its quantiser (arXiv 2406.07548 for BSQ).
Run it to write tests/golden/data/codec*.safetensors, or with --counts to print the released sizes.
"""
import math
import sys
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F

from golden import Rng, fan_in_spread, gradients, seeded, ten_losses, write_fixture


@dataclass
class CodecConfig:
    channels: int = 128
    multipliers: tuple = (1, 2, 4, 4, 4)
    encoder_blocks: int = 2
    decoder_blocks: int = 3
    middle_blocks: int = 2
    norm_groups: int = 32
    bits: int = 32
    scales: tuple = (1, 2, 4, 6, 8, 12, 16)
    patch: int = 1
    picture_size: int = 256

    @property
    def widths(self):
        return [self.channels * m for m in self.multipliers]


# --- weights ---------------------------------------------------------------------------------------------------------


def shapes(c):
    """(name, shape) of every weight, in the released names."""
    def conv(name, i, o, k=3):
        return [(f"{name}.weight", (o, i, k, k)), (f"{name}.bias", (o,))]

    def norm(name, channels):
        return [(f"{name}.weight", (channels,)), (f"{name}.bias", (channels,))]

    def block(name, i, o):
        skip = conv(f"{name}.nin_shortcut", i, o, 1) if i != o else []
        return norm(f"{name}.norm1", i) + conv(f"{name}.conv1", i, o) + norm(f"{name}.norm2", o) + conv(f"{name}.conv2", o, o) + skip

    last, picture = len(c.widths) - 1, 3 * c.patch**2
    encoder, width = conv("encoder.conv_in", picture, c.channels), c.channels
    for level, wide in enumerate(c.widths):
        for i in range(c.encoder_blocks):
            encoder += block(f"encoder.down.{level}.block.{i}", width, wide)
            width = wide
        if level < last:
            encoder += conv(f"encoder.down.{level}.downsample.conv", width, width)
    for i in range(c.middle_blocks):
        encoder += block(f"encoder.mid.block_{i + 1}", width, width)
    encoder += norm("encoder.norm_out", width) + conv("encoder.conv_out", width, c.bits)

    decoder = conv("decoder.conv_in", c.bits, width)
    for i in range(c.middle_blocks):
        decoder += block(f"decoder.mid.block_{i + 1}", width, width)
    for level in reversed(range(last + 1)):
        for i in range(c.decoder_blocks):
            decoder += block(f"decoder.up.{level}.block.{i}", width, c.widths[level])
            width = c.widths[level]
        if level > 0:
            decoder += conv(f"decoder.up.{level}.upsample.conv", width, width)
    return encoder + decoder + norm("decoder.norm_out", width) + conv("decoder.conv_out", width, picture)


def spread(name, shape):
    if len(shape) == 4:
        return 0.0, fan_in_spread(shape)
    return (1.0, 0.1) if "norm" in name and name.endswith("weight") else (0.0, 0.1)


# --- autoencoder -----------------------------------------------------------------------------------------------------


def conv(w, x, stride=1):
    weight = w["weight"]
    return F.conv2d(x, weight, w["bias"], stride, padding=weight.shape[-1] // 2 if stride == 1 else 0)


def norm_swish(w, x, c):
    channels = x.shape[1]
    groups = c.norm_groups if channels % c.norm_groups == 0 else 24
    return F.silu(F.group_norm(x, groups, w["weight"], w["bias"], 1e-6))


def res_block(w, x, c):
    h = conv(w.at("conv1"), norm_swish(w.at("norm1"), x, c))
    h = conv(w.at("conv2"), norm_swish(w.at("norm2"), h, c))
    return (conv(w.at("nin_shortcut"), x) if "nin_shortcut.weight" in w else x) + h


def encode(w, x, c):
    """[B, 3, H, W] in [-1, 1] -> latents [B, d, h, w]."""
    w = w.at("encoder")
    x = conv(w.at("conv_in"), F.pixel_unshuffle(x, c.patch))
    for level in range(len(c.widths)):
        for i in range(c.encoder_blocks):
            x = res_block(w.at(f"down.{level}.block.{i}"), x, c)
        if level < len(c.widths) - 1:  # pad the right and bottom by one, as TensorFlow's "same" would
            x = conv(w.at(f"down.{level}.downsample.conv"), F.pad(x, (0, 1, 0, 1)), stride=2)
    for i in range(c.middle_blocks):
        x = res_block(w.at(f"mid.block_{i + 1}"), x, c)
    return conv(w.at("conv_out"), norm_swish(w.at("norm_out"), x, c))


def decode(w, codes, c, clamp=True):
    """Summed codes [B, d, h, w] -> picture [B, 3, H, W] in [-1, 1]."""
    w = w.at("decoder")
    x = conv(w.at("conv_in"), codes)
    for i in range(c.middle_blocks):
        x = res_block(w.at(f"mid.block_{i + 1}"), x, c)
    for level in reversed(range(len(c.widths))):
        for i in range(c.decoder_blocks):
            x = res_block(w.at(f"up.{level}.block.{i}"), x, c)
        if level > 0:
            x = conv(w.at(f"up.{level}.upsample.conv"), F.interpolate(x, scale_factor=2.0, mode="nearest"))
    x = F.pixel_shuffle(conv(w.at("conv_out"), norm_swish(w.at("norm_out"), x, c)), c.patch)
    return x.clamp(-1, 1) if clamp else x


# --- quantiser -------------------------------------------------------------------------------------------------------


def resize(x, edge, mode):
    if x.shape[-1] == edge:
        return x
    return F.interpolate(x, size=(edge, edge), mode=mode, **({"align_corners": False} if mode == "bilinear" else {}))


def bsq(x):
    """[B, d, h, w] -> unit vectors and the corner of the cube next to each: sign / sqrt(d), where 0 counts as negative."""
    unit = F.normalize(x, dim=1)
    corner = torch.where(unit > 0, 1.0, -1.0) / unit.shape[1] ** 0.5
    return unit, corner


def quantise(latents, c, flips=None):
    """Latents [B, d, h, w] -> per scale the bits [B, d, k, k] and the sum of codes so far at full size.

    Later scales quantise what the (perhaps flipped) codes before them left over."""
    total, bits, sums = torch.zeros_like(latents), [], []
    for k, edge in enumerate(c.scales):
        _, corner = bsq(resize(latents - total, edge, "area"))
        bits.append(corner > 0)
        if flips is not None:
            corner = torch.where(flips[k], -corner, corner)
        total = total + resize(corner, latents.shape[-1], "bilinear")
        sums.append(total)
    return bits, sums


def entropy_term(latents):
    """E[H] - H[E] of the soft bits p = sigmoid(-4 u / sqrt(d) * 100), u the unit latent; nats, summed over d."""
    def entropy(logit):
        return -(logit.sigmoid() * F.logsigmoid(logit) + (-logit).sigmoid() * F.logsigmoid(-logit))

    unit, _ = bsq(latents)
    logit = -400 / latents.shape[1] ** 0.5 * unit
    mean = logit.sigmoid().mean((0, 2, 3)).clamp(1e-6, 1 - 1e-6)
    return entropy(logit).mean((0, 2, 3)).sum() - entropy(mean.logit()).sum()


def training_loss(w, c, t, pictures, rng):
    """Reconstruction (L1, MSE), commitment and entropy; the encoder gets the decoder's gradient straight through.

    A share of the pictures is decoded from a random prefix of the scales. Returns the loss and its four terms."""
    latents = encode(w, pictures, c)
    _, sums = quantise(latents.detach(), c)
    rng, chosen = rng.split(0), []
    for b in range(len(pictures)):
        last = rng.below(len(sums)) if rng.uniform() < t["drop_scales"] else len(sums) - 1
        chosen.append(sums[last][b])
    straight_through = latents + (torch.stack(chosen) - latents).detach()
    decoded = decode(w, straight_through, c, clamp=False)
    terms = {"l1": (decoded - pictures).abs().mean(), "mse": (decoded - pictures).square().mean(),
             "commitment": (latents - sums[-1]).square().sum(1).mean(), "entropy": entropy_term(latents)}
    return sum(t[k] * v for k, v in terms.items()), terms


# --- fixture ---------------------------------------------------------------------------------------------------------


TINY = CodecConfig(channels=8, multipliers=(1, 2, 3), encoder_blocks=1, decoder_blocks=2, middle_blocks=1, norm_groups=8,
                   bits=6, scales=(1, 2, 3, 4), patch=2, picture_size=32)
TRAINING = {"l1": 1.0, "mse": 2.0, "commitment": 0.25, "entropy": 0.01, "drop_scales": 0.5}


def pictures_of(bytes_):
    """uint8 [B, H, W, 3] -> [B, 3, H, W] in [-1, 1]."""
    return bytes_.permute(0, 3, 1, 2).float() / 127.5 - 1


def fixture_pictures(generator):
    """Four smooth random pictures, uint8 [4, 32, 32, 3]."""
    smooth = F.interpolate(torch.rand(4, 3, 6, 6, generator=generator), size=(32, 32), mode="bilinear")
    return (255 * smooth).byte().permute(0, 2, 3, 1).contiguous()


def main():
    generator = torch.Generator().manual_seed(20)
    w = seeded(shapes(TINY), seed=21, scale=spread)
    pixels = fixture_pictures(generator)
    pictures = pictures_of(pixels)
    out = {f"weights.{k}": v for k, v in w.items()} | {"pictures": pixels}

    with torch.no_grad():
        latents = encode(w, pictures, TINY)
        bits, sums = quantise(latents, TINY)
        flips = [torch.rand(b.shape, generator=generator) < 0.2 for b in bits]
        flipped_bits, flipped_sums = quantise(latents, TINY, flips)
        out |= {"latents": latents, "decoded": decode(w, sums[-1], TINY)}
        for k in range(len(TINY.scales)):
            out |= {f"bits.{k}": bits[k], f"sums.{k}": sums[k], f"flips.{k}": flips[k],
                    f"flipped_bits.{k}": flipped_bits[k], f"flipped_sums.{k}": flipped_sums[k]}

    loss, terms = training_loss(w, TINY, TRAINING, pictures, Rng(5, 0))
    out |= {f"gradients.{k}": g for k, g in gradients(w, loss).items()}
    out |= {f"terms.{k}": v for k, v in terms.items()}
    out["losses"] = ten_losses(w, lambda weights, step: training_loss(weights, TINY, TRAINING, pictures, Rng(5, step))[0],
                               decays=lambda name, tensor: tensor.dim() > 1)
    print("codec losses", out["losses"])
    write_fixture("codec", out, config=asdict(TINY), training=TRAINING)


def print_counts():
    for name, multipliers, bits in (("f16-d16", (1, 2, 4, 4, 4), 16), ("f16-d32", (1, 2, 4, 4, 4), 32),
                                    ("f16-d64", (1, 2, 4, 4, 4), 64), ("f8-d14", (1, 2, 4, 4), 14)):
        c = CodecConfig(bits=bits, multipliers=multipliers)
        print(f"{name:8} {sum(math.prod(shape) for _, shape in shapes(c)) / 1e6:8.2f} M")


if __name__ == "__main__":
    print_counts() if "--counts" in sys.argv else main()
