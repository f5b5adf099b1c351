"""Twin of the VQ codec: a VQGAN's autoencoder, its nearest code and its losses without a discriminator.

Structure of taming-transformers' VQModel as Chameleon released it (arXiv 2012.09841), written from the names and shapes of the
checkpoint. Writes tests/golden/data/vq/vqgan.ckpt and vqgan.yaml in the released layout, weights in 16 bits, and vq.safetensors.
With --counts it prints the released size.
"""
import os
import sys

import torch
import torch.nn.functional as F
from torch import nn

from golden import DATA, Weights, ten_losses, write_fixture

YAML = """model:
  base_learning_rate: 4.5e-6
  target: taming.models.vqgan.VQModel
  params:
    embed_dim: {embed}
    n_embed: {codes}
    ddconfig:
      double_z: false
      z_channels: {z}
      resolution: {resolution}
      in_channels: 3
      out_ch: 3
      ch: {ch}
      ch_mult:
{mults}
      num_res_blocks: {blocks}
      attn_resolutions: {attention}
      dropout: 0.0
    lossconfig:
      target: taming.modules.losses.vqperceptual.DummyLoss
"""


def norm(c):
    return nn.GroupNorm(32, c, eps=1e-6)


class Block(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.norm1, self.conv1 = norm(i), nn.Conv2d(i, o, 3, padding=1)
        self.norm2, self.conv2 = norm(o), nn.Conv2d(o, o, 3, padding=1)
        if i != o:
            self.nin_shortcut = nn.Conv2d(i, o, 1)

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x) + h


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm = norm(c)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(c, c, 1) for _ in range(4))

    def forward(self, x):
        h = self.norm(x)
        q, k, v = self.q(h).flatten(2), self.k(h).flatten(2), self.v(h).flatten(2)  # [B, C, N]
        weight = torch.softmax(torch.bmm(q.transpose(1, 2), k) * q.shape[1] ** -0.5, dim=2)  # over keys
        return x + self.proj_out(torch.bmm(v, weight.transpose(1, 2)).view_as(x))


class Resample(nn.Module):
    def __init__(self, c, down):
        super().__init__()
        self.down = down
        self.conv = nn.Conv2d(c, c, 3, stride=2 if down else 1, padding=0 if down else 1)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)) if self.down else F.interpolate(x, scale_factor=2.0, mode="nearest"))


def level(widths, attends):
    part = nn.Module()
    part.block = nn.ModuleList(Block(i, o) for i, o in zip(widths, widths[1:]))
    part.attn = nn.ModuleList(Attention(o) for o in widths[1:]) if attends else nn.ModuleList()
    return part


def through(part, x):
    for i, block in enumerate(part.block):
        x = block(x)
        if len(part.attn):
            x = part.attn[i](x)
    return x


def middle(c):
    mid = nn.Module()
    mid.block_1, mid.attn_1, mid.block_2 = Block(c, c), Attention(c), Block(c, c)
    return mid


class Vqgan(nn.Module):
    def __init__(self, ch, mult, blocks, z, embed, codes, resolution, attention):
        super().__init__()
        widths = [ch * m for m in mult]
        attends = [(resolution >> i) in attention for i in range(len(mult))]
        self.encoder, self.decoder, self.quantize = nn.Module(), nn.Module(), nn.Module()
        self.encoder.conv_in = nn.Conv2d(3, ch, 3, padding=1)
        self.encoder.down = nn.ModuleList()
        for i, w in enumerate(widths):
            part = level([widths[i - 1] if i else ch] + [w] * blocks, attends[i])
            if i + 1 < len(widths):
                part.downsample = Resample(w, True)
            self.encoder.down.append(part)
        self.decoder.conv_in = nn.Conv2d(z, widths[-1], 3, padding=1)
        self.decoder.up = nn.ModuleList()
        for i, w in enumerate(widths):
            part = level([widths[min(i + 1, len(widths) - 1)]] + [w] * (blocks + 1), attends[i])
            if i:
                part.upsample = Resample(w, False)
            self.decoder.up.append(part)
        for half, last in ((self.encoder, (widths[-1], z)), (self.decoder, (ch, 3))):
            half.mid, half.norm_out, half.conv_out = middle(widths[-1]), norm(last[0]), nn.Conv2d(*last, 3, padding=1)
        self.quantize.embedding = nn.Embedding(codes, embed)
        self.quant_conv, self.post_quant_conv = nn.Conv2d(z, embed, 1), nn.Conv2d(embed, z, 1)

    def features(self, x):
        x = self.encoder.conv_in(x)
        for part in self.encoder.down:
            x = through(part, x)
            if hasattr(part, "downsample"):
                x = part.downsample(x)
        x = self.encoder.mid.block_2(self.encoder.mid.attn_1(self.encoder.mid.block_1(x)))
        return self.quant_conv(self.encoder.conv_out(F.silu(self.encoder.norm_out(x))))

    def codes(self, features):
        z = features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])
        e = self.quantize.embedding.weight
        distance = (z**2).sum(1, keepdim=True) + (e**2).sum(1) - 2 * torch.einsum("bd,dn->bn", z, e.t())
        nearest = distance.topk(2, dim=1, largest=False).values
        shape = (features.shape[0], *features.shape[2:])
        return distance.argmin(1).view(shape), (nearest[:, 1] - nearest[:, 0]).view(shape)

    def decode(self, rows):
        x = self.decoder.conv_in(self.post_quant_conv(rows))
        x = self.decoder.mid.block_2(self.decoder.mid.attn_1(self.decoder.mid.block_1(x)))
        for part in reversed(self.decoder.up):
            x = through(part, x)
            if hasattr(part, "upsample"):
                x = part.upsample(x)
        return self.decoder.conv_out(F.silu(self.decoder.norm_out(x)))


SMALL = dict(ch=32, mult=(1, 1), blocks=1, z=20, embed=12, codes=48, resolution=16, attention=[8])
RELEASED = dict(ch=128, mult=(1, 1, 2, 2, 4), blocks=2, z=256, embed=256, codes=8192, resolution=512, attention=[])
LOSS = {"l1": 1.0, "mse": 2.0, "commitment": 0.25, "codebook": 1.0, "revive_every": 0}


def loss(model, weights, pictures):
    """Reconstruction by the straight-through rows, codes drawn to features, features to codes."""
    from torch.func import functional_call

    def run(name, *args):
        class Call(nn.Module):
            def __init__(self, inner):
                super().__init__()
                self.inner = inner

            def forward(self, *a):
                return getattr(self.inner, name)(*a)
        return functional_call(Call(model), {"inner." + k: v for k, v in weights.items()}, args)

    features = run("features", pictures)
    codes, _ = run("codes", features.detach())
    rows = F.embedding(codes, weights["quantize.embedding.weight"]).permute(0, 3, 1, 2)
    decoded = run("decode", features + (rows - features).detach())
    return (LOSS["l1"] * F.l1_loss(decoded, pictures) + LOSS["mse"] * F.mse_loss(decoded, pictures)
            + LOSS["commitment"] * F.mse_loss(features, rows.detach()) + LOSS["codebook"] * F.mse_loss(rows, features.detach()))


def main():
    if "--counts" in sys.argv:
        with torch.device("meta"):
            released = Vqgan(**RELEASED)
        print("vqgan", sum(p.numel() for p in released.parameters()), len(list(released.parameters())))
        return
    torch.manual_seed(18)
    model = Vqgan(**SMALL)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" in name:
                p.copy_((1.0 if name.endswith("weight") else 0.0) + 0.2 * torch.randn_like(p))
        model.quantize.embedding.weight.mul_(0.5)
        for p in model.parameters():
            p.copy_(p.half().float())
    folder = os.path.join(DATA, "vq")
    os.makedirs(folder, exist_ok=True)
    state = {k: v.half() for k, v in model.state_dict().items()}
    state["loss.discriminator.weight"] = torch.randn(4, 3)  # left out by who reads it
    torch.save({"epoch": 1, "global_step": 7, "state_dict": state}, os.path.join(folder, "vqgan.ckpt"))
    small = dict(SMALL, mults="\n".join(f"      - {m}" for m in SMALL["mult"]))
    with open(os.path.join(folder, "vqgan.yaml"), "w") as file:
        file.write(YAML.format(**small))
    pixels = torch.randint(0, 256, (3, 16, 16, 3), dtype=torch.uint8)
    pixels[1] = (torch.arange(16)[:, None, None] * 16 + torch.arange(3) * 5).to(torch.uint8)
    pictures = (pixels.double() / 255 * 2 - 1).float().permute(0, 3, 1, 2).contiguous()
    with torch.no_grad():
        features = model.features(pictures)
        codes, margin = model.codes(features)
        decoded = model.decode(F.embedding(codes, model.quantize.embedding.weight).permute(0, 3, 1, 2)).clamp(-1, 1)
        written = ((decoded + 1) / 2 * 255).to(torch.uint8).permute(0, 2, 3, 1)
    print("smallest margin", margin.min().item(), "codes", codes.unique().numel())
    weights = Weights({k: v.detach().clone().requires_grad_() for k, v in model.named_parameters()})
    losses = ten_losses(weights, lambda w, step: loss(model, w, pictures), lambda k, v: v.dim() == 4)
    write_fixture("vq", {"pictures": pixels, "features": features, "codes": codes, "decoded": decoded, "written": written,
                         "losses": losses}, training=LOSS)


if __name__ == "__main__":
    main()
