"""Small models in the formats and under the names of the released Infinity checkpoints, with what drawing and encoding on them must give.

The folder tests/golden/data/released is laid out as src/models/infinity/released_parity_test.cc reads it. The order of operations is that of
the published sampler: guidance on logits or on hidden states, both halves of the batch, a bit as arg-max(p / e) over two draws of Exp(1).
With `--large DIR` larger models of the same kinds are written elsewhere.
"""
import json
import math
import os
import sys
from collections import OrderedDict
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

import codec_twin
import infinity_twin as twin
from golden import DATA, Weights, seeded

AREA = 7  # scales of 0.06M
SCHEDULES = {  # height / width: the grids of 1M, of which 0.06M has the first seven
    1.0: [(1, 1), (2, 2), (4, 4), (6, 6), (8, 8), (12, 12), (16, 16), (64, 64)],
    1.5: [(1, 1), (2, 2), (3, 2), (6, 4), (9, 6), (15, 10), (21, 14), (78, 52)],
    0.571: [(1, 1), (2, 2), (3, 3), (4, 7), (6, 11), (8, 14), (12, 21), (48, 84)],
}


@dataclass
class Case:
    name: str
    seed: int
    width: int
    heads: int
    depth: int
    chunks: int
    bits: int  # of the VAE
    text_width: int
    channels: int
    multipliers: tuple
    patchify: bool = False
    shards: bool = False
    inserted: bool = True
    blocks: tuple = (1, 1, 1)  # encoder, decoder, middle
    half: bool = True
    runs: dict = field(default_factory=dict)
    encodes: tuple = ()

    @property
    def factor(self):
        return 2 if self.patchify else 1

    def transformer(self):
        return twin.InfinityConfig(width=self.width, depth=self.depth, heads=self.heads, bits=self.bits * self.factor**2, text_width=self.text_width, hidden=48 if self.width < 32 else 0,
                                   text_length=512, pool_heads=2, levels=15)

    def vae(self):
        return codec_twin.CodecConfig(channels=self.channels, multipliers=self.multipliers, encoder_blocks=self.blocks[0], decoder_blocks=self.blocks[1],
                                      middle_blocks=self.blocks[2], bits=self.bits)


RUNS = {
    "sampled": {"cfg": 4.0, "tau": 0.5, "seed": 2},
    "tall": {"ratio": 1.5, "cfg": [1.0, 2.0, 3.0, 3.0, 4.0, 1.0, 1.0], "tau": [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.5]},
    "inserted": {"cfg": 3.0, "cfg_insertion_layer": [-2]},
    "negative": {"cfg": 3.0, "negative": 4},
}
SMALL = [
    Case("small-2b", 41, 16, 2, 4, 2, 4, 12, 24, (1, 1, 1, 1, 1), runs={k: RUNS[k] for k in ("tall", "inserted", "negative")}, encodes=("square",)),
    Case("small-8b", 42, 16, 2, 2, 2, 2, 12, 24, (1, 1, 1, 1), patchify=True, shards=True, runs={"sampled": RUNS["sampled"]}, encodes=("square",)),
]
LARGE = [
    Case("own-2b", 51, 64, 4, 4, 2, 32, 256, 32, (1, 1, 2, 2, 2), blocks=(2, 3, 2), half=False, runs=RUNS | {"greedy": {"cfg": 3.0, "top_k": 1, "top_p": 0.0}},
         encodes=("square", "tall")),
    Case("own-8b", 52, 112, 7, 6, 3, 14, 256, 32, (1, 1, 2, 2), patchify=True, shards=True, inserted=False, blocks=(2, 3, 2), half=False,
         runs=RUNS, encodes=("square", "tall")),
]


# --- files -----------------------------------------------------------------------------------------------------------


def transformer_weights(case):
    c = case.transformer()
    weights = seeded(twin.shapes(c), case.seed, twin.spread)
    for name in weights:
        if name.endswith("scale_mul_1H11"):
            weights[name].data[0, 0] = math.log(150)  # above the clamp
    return weights | twin.constants(c)


def released_names(case, weights):
    length, out = case.depth // case.chunks, OrderedDict()
    for name, value in weights.items():
        if name.startswith("blocks."):
            _, block, rest = name.split(".", 2)
            name = f"block_chunks.{int(block) // length}.module.{int(block) % length}.{rest}"
        out[name] = value.detach().clone()
    return out


def save_transformer(case, weights, folder):
    named = released_names(case, weights)
    if not case.shards:
        for value in named.values():
            value._has_been_cloned = True  # as FSDP leaves them: _rebuild_from_type_v2
        torch.save(named, os.path.join(folder, case.name + ".pth"))
        return
    home = os.path.join(folder, case.name + "_weights")
    os.makedirs(home, exist_ok=True)
    names, places = list(named), {}
    for k in range(2):
        file = f"model-{k + 1:05}-of-00002.safetensors"
        part = names[k::2]
        save_file({n: named[n].contiguous() for n in part}, os.path.join(home, file), metadata={"format": "pt"})
        places |= {n: file for n in part}
    with open(os.path.join(home, "model.safetensors.index.json"), "w") as index:
        json.dump({"metadata": {"total_size": sum(v.numel() * 4 for v in named.values())}, "weight_map": places}, index)


def save_vae(case, weights, folder):
    def inserted(name):
        module, kind = name.rsplit(".", 1)
        return f"{module}.{'norm' if module.split('.')[-1].startswith('norm') else 'conv'}.{kind}"

    vae = OrderedDict((inserted(k) if case.inserted else k, v.detach().to(torch.half if case.half else torch.float)) for k, v in weights.items())
    mask = 2 ** torch.arange(case.bits - 1, -1, -1)
    vae |= {"quantizer.lfq.mask": mask, "quantize.lfq.mask": mask}
    vae._metadata = OrderedDict({"": {"version": 1}})
    torch.save({"step": 7, "vae": vae, "optimizer": {"state": (1.5, None)}}, os.path.join(folder, case.name + "-vae.pth"))


# --- drawing ---------------------------------------------------------------------------------------------------------


def shuffled(tokens, size, factor):
    """[n, factor^2 d] of a grid of tokens -> [1, d, H, W]."""
    grid = tokens.T.unflatten(1, size)[None]
    return F.pixel_shuffle(grid, factor) if factor > 1 else grid


def unshuffled(grid, factor):
    return (F.pixel_unshuffle(grid, factor) if factor > 1 else grid)[0].flatten(1).T


def grown(x, size):
    return x if tuple(x.shape[-2:]) == size else F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def code_of(bits):
    """As the sampler makes codes of bits: +-s, then divided by their own norm."""
    s = 1 / math.sqrt(bits.shape[1])
    code = bits.float() * (2 * s) - s
    return code / code.norm(dim=1, keepdim=True)


def hidden(w, c, inputs, states, grids, finest, cfg, after):
    """What leaves the last block, [2, L, C], and the condition [2, C]. `after`: blocks behind which both rows become their mix, where a scale's cfg
    is not 1."""
    normed = [twin.rms_norm(s, w["text_norm.weight"]) for s in states]
    condition = torch.stack([twin.pool(w.at("text_proj_for_sos.ca"), s) for s in normed])
    first, second = w.at("text_proj_for_ca.0"), w.at("text_proj_for_ca.2")
    prompts = [twin.linear(second, F.gelu(twin.linear(first, s), approximate="tanh")) for s in normed]
    level = torch.cat([torch.full((h * ww,), k) for k, (h, ww) in enumerate(grids)])
    x = (condition[:, None] + w["pos_start"]).expand(len(states), 1, -1)
    if inputs is not None:
        x = torch.cat([x, twin.linear(w.at("word_embed"), inputs)], 1)
    x = x + w["lvl_embed.weight"][level]
    shared = twin.linear(w.at("shared_ada_lin.1"), F.silu(condition)).view(-1, 1, 6, c.width)
    angles, allowed = twin.rope_angles(c.width // c.heads, grids, finest), twin.block_causal(grids)
    strength = torch.tensor([cfg[k] for k in level.tolist()])[:, None]
    for i in range(c.depth):
        x = twin.block(w.at(f"blocks.{i}"), x, shared, prompts, angles, allowed, c.heads)
        if i in after:
            x = torch.where(strength == 1, x, strength * x[:1] + (1 - strength) * x[1:])
    return x, condition


def head(w, c, x, condition):
    scale, shift = twin.linear(w.at("head_nm.ada_lin.1"), F.silu(condition)).view(-1, 1, 2, c.width).unbind(2)
    return twin.linear(w.at("head"), twin.layer_norm(x) * (1 + scale) + shift).unflatten(-1, (c.bits, 2))


def bits_of(mixed, exponentials, run):
    """[n, d, 2] -> [n, d]: top-k, top-p, then arg-max(p / e)."""
    if run.get("top_k") == 1:
        return mixed.argmax(-1)
    p = mixed.softmax(-1)
    low = p.min(-1, keepdim=True).values
    p = p.masked_fill((p == low) & (low <= 1 - run.get("top_p", 0.97)), 0)
    p = p / p.sum(-1, keepdim=True)
    return (p / exponentials).argmax(-1)


def listed(value):
    return value if isinstance(value, list) else [value] * AREA


def draw(case, w, vae, run):
    c, generator = case.transformer(), torch.Generator().manual_seed(run.get("seed", 0) + case.seed)
    grids, finest = SCHEDULES[run.get("ratio", 1.0)][:AREA], SCHEDULES[run.get("ratio", 1.0)][-1]
    cfg, tau = listed(run["cfg"]), listed(run.get("tau", 1.0))
    after = [c.depth + k for k in run.get("cfg_insertion_layer", [0]) if k < 0]
    prompt = torch.randn(6, c.text_width, generator=generator)
    negative = torch.randn(run["negative"], c.text_width, generator=generator) if "negative" in run else torch.empty(0)
    states = [prompt, negative if len(negative) else w["cfg_uncond"][:len(prompt)]]
    full = tuple(case.factor * edge for edge in grids[-1])
    total, inputs, out = torch.zeros(1, case.bits, *full), None, {"text_states": prompt, "negative_states": negative}
    for k, grid in enumerate(grids):
        if k > 0:
            step = unshuffled(grown(total, tuple(case.factor * e for e in grid)), case.factor)
            out[f"input.{k}"] = step
            inputs = torch.cat([x for x in (inputs, step[None]) if x is not None], 1)
        both = None if inputs is None else inputs.expand(2, -1, -1)
        x, condition = hidden(w, c, both, states, grids[:k + 1], finest, cfg, after)
        count = grid[0] * grid[1]
        logits = head(w, c, x[:, -count:], condition) / tau[k]
        mixed = logits[0] if after or cfg[k] == 1 else cfg[k] * logits[0] + (1 - cfg[k]) * logits[1]
        exponentials = torch.empty(mixed.shape).exponential_(generator=generator)
        bits = bits_of(mixed, exponentials, run)
        total = total + grown(code_of(shuffled(bits, grid, case.factor)), full)
        out |= {f"mixed.{k}": mixed, f"exponentials.{k}": exponentials, f"bits.{k}": bits.to(torch.uint8)}
    out["codes"] = total[0]
    if not after and not len(negative):
        x, condition = hidden(w, c, inputs, [prompt], grids, finest, cfg, [])
        out["teacher_logits"] = head(w, c, x, condition)[0]
    stride = 16 if case.half else 1
    out["decoded"] = codec_twin.decode(vae, total, case.vae())[0, :, ::stride, ::stride]
    meta = {k: json.dumps(v) for k, v in run.items() if k != "negative"} | {"ratio": str(run.get("ratio", 1.0)), "decoded_stride": str(stride)}
    return out, meta


def encode(case, vae, shape):
    """A picture's bits, and what a trainer without noise gives the transformer."""
    ratio = {"square": 1.0, "tall": 1.5}[shape]
    grids = SCHEDULES[ratio][:AREA]
    latent = [tuple(case.factor * e for e in grid) for grid in grids]
    spatial = 2 ** (len(case.multipliers) - 1)
    generator = torch.Generator().manual_seed(case.seed)
    coarse = torch.rand(1, 3, 8, 8, generator=generator) * 2 - 1
    image = F.interpolate(coarse, size=tuple(spatial * e for e in latent[-1]), mode="nearest")
    features = codec_twin.encode(vae, image, case.vae())
    total, out, inputs, labels = torch.zeros_like(features), {"features": features[0]}, [], []
    for k, grid in enumerate(latent):
        residual = features - total
        residual = residual if k + 1 == len(latent) else F.interpolate(residual, size=grid, mode="area")
        v = F.normalize(residual, dim=1)
        q = torch.where(v > 0, 1.0, -1.0) / math.sqrt(case.bits)
        bits = v > 0
        total = total + grown(v + (q - v), latent[-1])
        out[f"bits.{k}"] = bits[0].permute(1, 2, 0).to(torch.uint8)
        out[f"train_labels.{k}"] = unshuffled(bits.float(), case.factor).to(torch.uint8)
        if k + 1 < len(latent):
            inputs.append(unshuffled(grown(total, latent[k + 1]), case.factor))
    stride = 16 if case.half else 1
    out |= {"codes": total[0], "train_input": torch.cat(inputs), "coarse_image": coarse[0]}
    out["decoded"] = codec_twin.decode(vae, total, case.vae())[0, :, ::stride, ::stride]
    return out, {"schedule": json.dumps(grids), "height": str(image.shape[2]), "width": str(image.shape[3]), "decoded_stride": str(stride)}


@torch.no_grad()
def main(cases, folder):
    os.makedirs(folder, exist_ok=True)
    for case in cases:
        w = Weights(transformer_weights(case))
        vae = codec_twin.seeded(codec_twin.shapes(case.vae()), case.seed + 100, codec_twin.spread)
        if case.half:
            for name in vae:
                vae[name] = vae[name].detach().half().float()
        save_transformer(case, w, folder)
        save_vae(case, vae, folder)
        made = {name: draw(case, w, vae, run) for name, run in case.runs.items()}
        made |= {f"encode-{shape}": encode(case, vae, shape) for shape in case.encodes}
        for name, (tensors, meta) in made.items():
            save_file({k: v.detach().contiguous() for k, v in tensors.items()}, os.path.join(folder, f"{case.name}-{name}.safetensors"), metadata=meta)
        print(case.name, sorted(made))


if __name__ == "__main__":
    if "--large" in sys.argv:
        main(LARGE, sys.argv[sys.argv.index("--large") + 1])
    else:
        main(SMALL, os.path.join(DATA, "released"))
