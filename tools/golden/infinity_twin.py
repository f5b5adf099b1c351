"""Twin of the Infinity transformer (arXiv 2412.04431): next-scale prediction of bits, given a prompt.

Covers the byte text encoder, attention pooling, shared AdaLN, normalised 2-D rotary positions, the block-causal mask,
the infinite-vocabulary classifier and bitwise self-correction. Run it to write tests/golden/data/infinity*.safetensors,
or with --counts to print the sizes of the paper's table.
"""
import math
import sys
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F

import codec_twin
import text_twin
from golden import Rng, fan_in_spread, gradients, seeded, ten_losses, write_fixture


@dataclass
class ByteEncoderConfig:
    width: int = 128
    depth: int = 2
    heads: int = 4
    hidden: int = 512


@dataclass
class InfinityConfig:
    width: int = 2048  # C
    depth: int = 32
    heads: int = 16
    hidden: int = 0  # feed-forward width; 0: 4C rounded half-even to a multiple of 256
    bits: int = 32  # d
    text_width: int = 2048
    text_length: int = 512  # longest prompt in tokens, its end token included
    pool_heads: int = 16
    levels: int = 15  # rows of the level embedding
    scales: tuple = ()
    text_encoder: ByteEncoderConfig | None = None

    @property
    def feed_forward_width(self):
        return self.hidden or round(4 * self.width / 256) * 256


SIZES = {  # name: (C, depth, heads, d)
    "layer12": (768, 12, 8, 16), "layer16": (1152, 16, 12, 16), "layer24": (1536, 24, 16, 32),
    "layer32": (2080, 32, 20, 32), "2b": (2048, 32, 16, 32), "layer40": (2688, 40, 24, 32),
    "layer48": (3360, 48, 28, 32), "8b": (3584, 40, 28, 56), "20b": (4608, 58, 36, 56),
}


# --- weights ---------------------------------------------------------------------------------------------------------


def shapes(c):
    """(name, shape) of every weight, in the released names with blocks.N for block_chunks.i.module.j."""
    C, d, T, hidden = c.width, c.bits, c.text_width, c.feed_forward_width

    def linear(name, i, o):
        return [(f"{name}.weight", (o, i)), (f"{name}.bias", (o,))]

    def block(name):
        return ([(f"{name}.ada_gss", (1, 1, 6, C)), (f"{name}.sa.scale_mul_1H11", (1, c.heads, 1, 1)),
                 (f"{name}.sa.q_bias", (C,)), (f"{name}.sa.v_bias", (C,)), (f"{name}.sa.mat_qkv.weight", (3 * C, C))]
                + linear(f"{name}.sa.proj", C, C) + linear(f"{name}.ca.mat_q", C, C)
                + [(f"{name}.ca.mat_kv.weight", (2 * C, C)), (f"{name}.ca.v_bias", (C,))] + linear(f"{name}.ca.proj", C, C)
                + linear(f"{name}.ffn.fc1", C, hidden) + linear(f"{name}.ffn.fc2", hidden, C)
                + [(f"{name}.ca_norm.weight", (C,)), (f"{name}.ca_norm.bias", (C,))])

    sos = "text_proj_for_sos.ca"
    all_shapes = ([("cfg_uncond", (c.text_length, T)), ("pos_start", (1, 1, C)), ("text_norm.weight", (T,)),
                   (f"{sos}.mat_q", (1, c.pool_heads, C // c.pool_heads)), (f"{sos}.v_bias", (C,)),
                   (f"{sos}.mat_kv.weight", (2 * C, T))] + linear(f"{sos}.proj", C, C)
                  + linear("text_proj_for_ca.0", T, C) + linear("text_proj_for_ca.2", C, C)
                  + [("lvl_embed.weight", (c.levels, C))] + linear("word_embed", d, C)
                  + linear("shared_ada_lin.1", C, 6 * C) + linear("head_nm.ada_lin.1", C, 2 * C) + linear("head", C, 2 * d))
    for i in range(c.depth):
        all_shapes += block(f"blocks.{i}")
    if c.text_encoder:
        all_shapes += text_twin.shapes("text_encoder", c.text_encoder, c.text_length)
    return all_shapes


def constants(c):
    """Stored beside the weights, zero and never trained."""
    owners = ["text_proj_for_sos.ca"] + [f"blocks.{i}.{part}" for i in range(c.depth) for part in ("sa", "ca")]
    return {f"{owner}.zero_k_bias": torch.zeros(c.width) for owner in owners}


def spread(name, shape):
    """Gates, scales and biases large enough that an error in any of them shows."""
    if name.endswith("scale_mul_1H11"):
        return math.log(4), 0.3
    if "norm" in name and name.endswith("weight") and len(shape) == 1:
        return 1.0, 0.1
    if len(shape) == 1 or name.startswith("lvl_embed"):
        return 0.0, 0.1
    if name in ("cfg_uncond", "text_encoder.embedding", "text_encoder.position"):
        return 0.0, 0.5
    return (0.0, 0.3) if name.endswith("ada_gss") else (0.0, fan_in_spread(shape))


# --- small parts -----------------------------------------------------------------------------------------------------


def linear(w, x):
    return F.linear(x, w["weight"], w.get("bias"))


def layer_norm(x, w=None):
    return F.layer_norm(x, x.shape[-1:], w and w["weight"], w and w["bias"], 1e-6)


def rms_norm(x, weight):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * weight


def heads_first(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(-3, -2)  # [..., L, C] -> [..., H, L, C/H]


def attend(q, k, v, scale, allowed=None):
    """Softmax attention written out. q [..., H, L, hd], k, v [..., H, S, hd] -> [..., L, C]."""
    scores = q @ k.transpose(-1, -2) * scale
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -torch.inf)
    return (scores.softmax(-1) @ v).transpose(-3, -2).flatten(-2)


# --- positions -------------------------------------------------------------------------------------------------------


def rope_angles(head_dim, scales, finest):
    """Angle of every token and pair, [L, hd/2]: the first half of the pairs turns with y, the second with x.

    Each scale is stretched onto the grid of the finest one, so that the same place has the same angle at all scales."""
    half = head_dim // 2
    inverse = 10000.0 ** (-torch.arange(0, half, 2, dtype=torch.float32) / half)
    rows = []
    for h, w in scales:
        for i in range(h):
            for j in range(w):
                y, x = round(i * finest[0] / h), round(j * finest[1] / w)  # Python rounds halves to even
                rows.append(torch.cat([y * inverse, x * inverse]))
    return torch.stack(rows)


def rotate(x, angles):
    """Turns each adjacent pair (x[2i], x[2i+1]) by its angle."""
    even, odd = x[..., 0::2], x[..., 1::2]
    cos, sin = angles.cos(), angles.sin()
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)


def block_causal(scales):
    """[L, L] of bool: a token sees its own scale and all coarser ones."""
    level = torch.cat([torch.full((h * w,), k) for k, (h, w) in enumerate(scales)])
    return level[:, None] >= level[None, :]


# --- transformer -----------------------------------------------------------------------------------------------------


def self_attention(w, x, angles, allowed, heads):
    C = x.shape[-1]
    bias = torch.cat([w["q_bias"], torch.zeros(C), w["v_bias"]])
    q, k, v = (heads_first(part, heads) for part in F.linear(x, w["mat_qkv.weight"], bias).split(C, -1))
    temperature = w["scale_mul_1H11"].clamp(max=math.log(100)).exp()
    q = rotate(F.normalize(q, dim=-1, eps=1e-12) * temperature, angles)
    k = rotate(F.normalize(k, dim=-1, eps=1e-12), angles)
    return linear(w.at("proj"), attend(q, k, v, 1.0, allowed))


def cross_attention(w, x, prompts, heads):
    """x [B, L, C]; prompts: per picture the states [n, C] of its own tokens, so nothing is padded."""
    C = x.shape[-1]
    mixed = []
    for row, states in zip(x, prompts):
        q = heads_first(linear(w.at("mat_q"), row), heads)
        k, v = F.linear(states, w["mat_kv.weight"], torch.cat([torch.zeros(C), w["v_bias"]])).split(C, -1)
        mixed.append(attend(q, heads_first(k, heads), heads_first(v, heads), (C // heads) ** -0.5))
    return linear(w.at("proj"), torch.stack(mixed))


def feed_forward(w, x):
    return linear(w.at("fc2"), F.gelu(linear(w.at("fc1"), x), approximate="tanh"))


def block(w, x, shared, prompts, angles, allowed, heads):
    gate_a, gate_f, scale_a, scale_f, shift_a, shift_f = (w["ada_gss"] + shared).unbind(2)
    x = x + gate_a * self_attention(w.at("sa"), layer_norm(x) * (1 + scale_a) + shift_a, angles, allowed, heads)
    x = x + cross_attention(w.at("ca"), layer_norm(x, w.at("ca_norm")), prompts, heads)
    return x + gate_f * feed_forward(w.at("ffn"), layer_norm(x) * (1 + scale_f) + shift_f)


def pool(w, states):
    """One learned query attends over a prompt's states [n, T]; gives the start token and AdaLN condition [C]."""
    query = w["mat_q"].transpose(0, 1)  # [H, 1, hd]
    C = w["v_bias"].shape[0]
    k, v = F.linear(states, w["mat_kv.weight"], torch.cat([torch.zeros(C), w["v_bias"]])).split(C, -1)
    heads = query.shape[0]
    out = attend(query, heads_first(k, heads), heads_first(v, heads), (C // heads) ** -0.5)  # [1, C]
    return linear(w.at("proj"), out)[0]


def logits(w, c, inputs, prompt_states, scales, finest):
    """Two logits per bit for every token of every scale.

    inputs [B, L-1, d]: each scale's resized sum of the codes before it (none for the first);
    prompt_states: per picture the text encoder's states [n, T]. Returns [B, L, d, 2]."""
    normed = [rms_norm(s, w["text_norm.weight"]) for s in prompt_states]
    condition = torch.stack([pool(w.at("text_proj_for_sos.ca"), s) for s in normed])  # [B, C]
    projected = [linear(w.at("text_proj_for_ca.2"), F.gelu(linear(w.at("text_proj_for_ca.0"), s), approximate="tanh")) for s in normed]

    start = condition[:, None] + w["pos_start"]
    x = torch.cat([start, linear(w.at("word_embed"), inputs)], 1)
    level = torch.cat([torch.full((h * ww,), k) for k, (h, ww) in enumerate(scales)])
    x = x + w["lvl_embed.weight"][level]

    shared = linear(w.at("shared_ada_lin.1"), F.silu(condition)).view(-1, 1, 6, c.width)
    angles, allowed = rope_angles(c.width // c.heads, scales, finest), block_causal(scales)
    for i in range(c.depth):
        x = block(w.at(f"blocks.{i}"), x, shared, projected, angles, allowed, c.heads)

    scale, shift = linear(w.at("head_nm.ada_lin.1"), F.silu(condition)).view(-1, 1, 2, c.width).unbind(2)
    x = linear(w.at("head"), layer_norm(x) * (1 + scale) + shift)
    return x.unflatten(-1, (c.bits, 2))


# --- training --------------------------------------------------------------------------------------------------------


def resize(x, size, mode):
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x, size=tuple(size), mode=mode, **({"align_corners": False} if mode == "bilinear" else {}))


def self_correct(latents, scales, flips):
    """Bitwise self-correction: the transformer's inputs come from flipped bits, its labels from re-quantising.

    latents [B, d, H, W]; flips: per scale bool [B, d, h, w]. Returns inputs [B, L-1, d], labels bool [B, L, d]."""
    size, d = latents.shape[-2:], latents.shape[1]
    total = torch.zeros_like(latents)
    inputs, labels = [], []
    for k, scale in enumerate(scales):
        bits = resize(latents - total, scale, "area") > 0
        labels.append(bits.flatten(2).transpose(1, 2))
        codes = torch.where(bits ^ flips[k], 1.0, -1.0) / math.sqrt(d)
        total = total + resize(codes, size, "bilinear")
        if k + 1 < len(scales):
            inputs.append(resize(total, scales[k + 1], "bilinear").flatten(2).transpose(1, 2))
    return torch.cat(inputs, 1), torch.cat(labels, 1)


def bit_loss(two_logits, labels, scales):
    """Cross entropy per bit, mean over bits and pictures; a token of a coarse scale weighs sqrt(A_last / A_k) more."""
    area = torch.cat([torch.full((h * w,), float(h * w)) for h, w in scales])
    weight = (area[-1] / area).sqrt()
    per_bit = F.cross_entropy(two_logits.flatten(0, 2), labels.long().flatten(), reduction="none").view(labels.shape)
    return (per_bit.mean(-1) * (weight / weight.sum())).sum(1).mean()


def states_of(w, c, prompts, dropped):
    """Text states per prompt; a dropped one gets the learned states of "no prompt" at its own length."""
    out = []
    for text, drop in zip(prompts, dropped):
        ids = text_twin.byte_tokens(text, c.text_length)
        encoder = c.text_encoder
        out.append(w["cfg_uncond"][:len(ids)] if drop else text_twin.encode(w.at("text_encoder"), ids, encoder.depth, encoder.heads))
    return out


def square(edges):
    return [(edge, edge) for edge in edges]


def training_loss(w, c, prompts, dropped, latents, flips):
    scales = square(c.scales)
    inputs, labels = self_correct(latents, scales, flips)
    return bit_loss(logits(w, c, inputs, states_of(w, c, prompts, dropped), scales, scales[-1]), labels, scales)


# --- fixture ---------------------------------------------------------------------------------------------------------


TINY = InfinityConfig(width=32, depth=2, heads=2, hidden=48, bits=6, text_width=24, text_length=20, pool_heads=4, levels=6,
                      scales=(1, 2, 3, 4), text_encoder=ByteEncoderConfig(width=24, depth=2, heads=3, hidden=40))
PROMPTS = ["red apple", "crème brûlée with two spoons", "☕", "two cars"]  # the second is longer than TINY reads
TRAINING = {"flip_percent": 30, "drop_prompt": 0.3}
WIDE = [(1, 1), (2, 3), (3, 5)]


def main():
    generator = torch.Generator().manual_seed(30)
    w = seeded(shapes(TINY), seed=31, scale=spread)
    scales, kept = square(TINY.scales), [False] * len(PROMPTS)
    latents = torch.randn(len(PROMPTS), TINY.bits, *scales[-1], generator=generator)
    flips = [torch.rand(len(PROMPTS), TINY.bits, *scale, generator=generator) < 0.2 for scale in scales]
    dropped = [False, True, False, True]

    out = {f"weights.{k}": v for k, v in w.items()} | {f"weights.{k}": v for k, v in constants(TINY).items()}
    out |= {"latents": latents, "dropped": torch.tensor(dropped)} | {f"flips.{k}": f for k, f in enumerate(flips)}
    out |= {f"tokens.{b}": text_twin.byte_tokens(text, TINY.text_length) for b, text in enumerate(PROMPTS)}
    out |= {f"states.{b}": s for b, s in enumerate(states_of(w, TINY, PROMPTS, kept))}
    inputs, labels = self_correct(latents, scales, flips)
    out |= {"inputs": inputs, "labels": labels}
    out["logits"] = logits(w, TINY, inputs, states_of(w, TINY, PROMPTS, kept), scales, scales[-1])
    wide_inputs = torch.randn(len(PROMPTS), sum(h * ww for h, ww in WIDE[1:]), TINY.bits, generator=generator)
    out |= {"wide.inputs": wide_inputs, "wide.scales": torch.tensor(WIDE)}
    out["wide.logits"] = logits(w, TINY, wide_inputs, states_of(w, TINY, PROMPTS, kept), WIDE, (7, 11))

    loss = training_loss(w, TINY, PROMPTS, dropped, latents, flips)
    out["loss"] = loss
    out |= {f"gradients.{k}": g for k, g in gradients(w, loss).items()}
    out["losses"] = ten_losses(w, whole_loss(codec_latents()), decays)
    print("infinity losses", out["losses"])
    write_fixture("infinity", out, config=asdict(TINY), prompts=PROMPTS, training=TRAINING)


def codec_latents():
    """Latents of the codec fixture's pictures: the ten losses run through the codec's twin as well."""
    codec = codec_twin.seeded(codec_twin.shapes(codec_twin.TINY), seed=21, scale=codec_twin.spread)
    pictures = codec_twin.fixture_pictures(torch.Generator().manual_seed(20))
    with torch.no_grad():
        return codec_twin.encode(codec, codec_twin.pictures_of(pictures), codec_twin.TINY)


def whole_loss(latents):
    """The objective's loss at a step: flips and dropped prompts are drawn as the engine draws them."""
    def loss(weights, step):
        rng = Rng(7, step)
        flips, flip_rng = [], rng.split(1)
        for h, w in square(TINY.scales):
            strength = flip_rng.below(TRAINING["flip_percent"] + 1) / 100
            count = len(latents) * TINY.bits * h * w
            flips.append(torch.tensor([flip_rng.uniform() < strength for _ in range(count)]).view(-1, TINY.bits, h, w))
        drop_rng = rng.split(2)
        dropped = [drop_rng.uniform() < TRAINING["drop_prompt"] for _ in PROMPTS]
        return training_loss(weights, TINY, PROMPTS, dropped, latents, flips)
    return loss


NO_DECAY = ("cfg_uncond", "pos_start", "lvl_embed", "ada_gss", "scale_mul", "text_proj_for_sos.ca.mat_q",
            "text_encoder.embedding", "text_encoder.position")


def decays(name, tensor):
    return tensor.dim() > 1 and not any(exempt in name for exempt in NO_DECAY)


def print_counts():
    for name, (width, depth, heads, bits) in SIZES.items():
        c = InfinityConfig(width=width, depth=depth, heads=heads, bits=bits, pool_heads=32 if width > 4096 else 16)
        print(f"{name:8} {sum(math.prod(shape) for _, shape in shapes(c)) / 1e6:10.2f} M")


if __name__ == "__main__":
    print_counts() if "--counts" in sys.argv else main()
