"""The picture codec as an ordinary eager PyTorch program: what bench/ measures the engine against."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class ResBlock(nn.Module):
    def __init__(self, i, o, groups):
        super().__init__()
        self.norm1, self.conv1 = norm(i, groups), nn.Conv2d(i, o, 3, padding=1)
        self.norm2, self.conv2 = norm(o, groups), nn.Conv2d(o, o, 3, padding=1)
        self.nin_shortcut = nn.Conv2d(i, o, 1) if i != o else None

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return (x if self.nin_shortcut is None else self.nin_shortcut(x)) + h


def norm(channels, groups):
    return nn.GroupNorm(groups if channels % groups == 0 else 24, channels, eps=1e-6)


class Down(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Up(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    def __init__(self, widths, groups, **step):
        super().__init__()
        self.block = nn.ModuleList(ResBlock(i, o, groups) for i, o in widths)
        for name, module in step.items():
            self.add_module(name, module)

    def forward(self, x):
        for module in (*self.block, *(m for n, m in self.named_children() if n != "block")):
            x = module(x)
        return x


class Attention(nn.Module):
    def __init__(self, width, groups):
        super().__init__()
        self.norm = norm(width, groups)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(width, width, 1) for _ in range(4))

    def forward(self, x):
        h = self.norm(x)
        q, k, v = (proj(h).flatten(2).transpose(1, 2) for proj in (self.q, self.k, self.v))
        return x + self.proj_out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).unflatten(2, x.shape[2:]))


class Middle(nn.Sequential):
    def __init__(self, width, blocks, groups, attention=False):
        super().__init__()
        for i in range(blocks):
            self.add_module(f"block_{i + 1}", ResBlock(width, width, groups))
            if attention and i == 0:
                self.add_module("attn_1", Attention(width, groups))


class Encoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.patch, groups, widths = c["patch"], c["norm_groups"], [c["channels"] * m for m in c["multipliers"]]
        self.upscale = c.get("upscale", 1)  # a decoder's pictures are this many times the encoder's
        self.conv_in, self.down, width = nn.Conv2d(3 * self.patch**2, c["channels"], 3, padding=1), nn.ModuleList(), c["channels"]
        for level, wide in enumerate(widths):
            path = [(width, wide)] + [(wide, wide)] * (c["encoder_blocks"] - 1)
            self.down.append(Level(path, groups, **({"downsample": Down(wide)} if level + 1 < len(widths) else {})))
            width = wide
        self.mid, self.norm_out = Middle(width, c["middle_blocks"], groups, c.get("middle_attention", False)), norm(width, groups)
        self.conv_out = nn.Conv2d(width, c["bits"], 3, padding=1)

    def forward(self, x):
        x = self.conv_in(F.pixel_unshuffle(F.avg_pool2d(x, self.upscale), self.patch))
        for level in self.down:
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(self.mid(x))))


class Decoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        channels, multipliers = c.get("decoder_channels") or c["channels"], c.get("decoder_multipliers") or c["multipliers"]
        self.patch, groups, widths = c["patch"] * c.get("upscale", 1), c["norm_groups"], [channels * m for m in multipliers]
        width, levels = widths[-1], []
        self.conv_in = nn.Conv2d(c["bits"], width, 3, padding=1)
        self.mid = Middle(width, c["middle_blocks"], groups, c.get("middle_attention", False))
        for level in reversed(range(len(widths))):
            wide = widths[level]
            path = [(width, wide)] + [(wide, wide)] * (c["decoder_blocks"] - 1)
            levels.insert(0, Level(path, groups, **({"upsample": Up(wide)} if level > 0 else {})))
            width = wide
        self.up = nn.ModuleList(levels)
        self.norm_out, self.conv_out = norm(width, groups), nn.Conv2d(width, 3 * self.patch**2, 3, padding=1)

    def forward(self, x):
        x = self.mid(self.conv_in(x))
        for level in reversed(self.up):
            x = level(x)
        return F.pixel_shuffle(self.conv_out(F.silu(self.norm_out(x))), self.patch)


class Codec(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.encoder, self.decoder = Encoder(config), Decoder(config)


def resize(x, edge, mode):
    if x.shape[-1] == edge:
        return x
    return F.interpolate(x, size=(edge, edge), mode=mode, **({"align_corners": False} if mode == "bilinear" else {}))


def quantise(latents, scales, flips=None):
    """Bits and full-size sums per scale, as in the paper's residual pyramid."""
    total, bits, sums = torch.zeros_like(latents), [], []
    for k, edge in enumerate(scales):
        bit = resize(latents - total, edge, "area") > 0
        bits.append(bit)
        entering = bit if flips is None else bit ^ flips[k]
        total = total + resize((2 * entering - 1) / latents.shape[1] ** 0.5, latents.shape[-1], "bilinear")
        sums.append(total)
    return bits, sums
