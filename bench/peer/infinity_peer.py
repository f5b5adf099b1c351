"""The Infinity transformer as an ordinary eager PyTorch program: modules, fused attention calls, a key-value cache."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from codec_peer import quantise, resize

END = 256


def split_heads(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)  # [B, L, C] -> [B, H, L, C/H]


def join_heads(x):
    return x.transpose(1, 2).flatten(2)


def rotate(x, cos, sin):
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)


class SelfAttention(nn.Module):
    def __init__(self, C, heads):
        super().__init__()
        self.heads = heads
        self.scale_mul_1H11 = nn.Parameter(torch.full((1, heads, 1, 1), math.log(4.0)))
        self.q_bias, self.v_bias = nn.Parameter(torch.zeros(C)), nn.Parameter(torch.zeros(C))
        self.register_buffer("zero_k_bias", torch.zeros(C))
        self.mat_qkv, self.proj = nn.Linear(C, 3 * C, bias=False), nn.Linear(C, C)

    def forward(self, x, cos, sin, mask, cache):
        qkv = F.linear(x, self.mat_qkv.weight, torch.cat([self.q_bias, self.zero_k_bias, self.v_bias]))
        q, k, v = (split_heads(part, self.heads) for part in qkv.chunk(3, -1))
        q = F.normalize(q, dim=-1, eps=1e-12) * self.scale_mul_1H11.clamp_max(math.log(100)).exp()
        q, k = rotate(q, cos, sin), rotate(F.normalize(k, dim=-1, eps=1e-12), cos, sin)
        if cache is not None:
            if cache:
                k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
            cache[:] = [k, v]
        return self.proj(join_heads(F.scaled_dot_product_attention(q, k, v, mask, scale=1.0)))


class CrossAttention(nn.Module):
    def __init__(self, C, heads):
        super().__init__()
        self.heads = heads
        self.mat_q, self.mat_kv, self.proj = nn.Linear(C, C), nn.Linear(C, 2 * C, bias=False), nn.Linear(C, C)
        self.v_bias = nn.Parameter(torch.zeros(C))
        self.register_buffer("zero_k_bias", torch.zeros(C))

    def keys(self, prompt):
        k, v = F.linear(prompt, self.mat_kv.weight, torch.cat([self.zero_k_bias, self.v_bias])).chunk(2, -1)
        return split_heads(k, self.heads), split_heads(v, self.heads)

    def forward(self, x, keys, padding):
        return self.proj(join_heads(F.scaled_dot_product_attention(split_heads(self.mat_q(x), self.heads), *keys, padding)))


class Pool(nn.Module):
    def __init__(self, C, heads, text_width):
        super().__init__()
        self.mat_q = nn.Parameter(torch.zeros(1, heads, C // heads))
        self.mat_kv, self.proj = nn.Linear(text_width, 2 * C, bias=False), nn.Linear(C, C)
        self.v_bias = nn.Parameter(torch.zeros(C))
        self.register_buffer("zero_k_bias", torch.zeros(C))

    def forward(self, states, padding):
        heads = self.mat_q.shape[1]
        k, v = F.linear(states, self.mat_kv.weight, torch.cat([self.zero_k_bias, self.v_bias])).chunk(2, -1)
        q = self.mat_q.unsqueeze(2).expand(len(states), -1, -1, -1)
        return self.proj(join_heads(F.scaled_dot_product_attention(q, split_heads(k, heads), split_heads(v, heads), padding)))[:, 0]


class FeedForward(nn.Module):
    def __init__(self, C, hidden):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(C, hidden), nn.Linear(hidden, C)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        C = c["width"]
        self.ada_gss = nn.Parameter(torch.zeros(1, 1, 6, C))
        self.sa, self.ca, self.ffn = SelfAttention(C, c["heads"]), CrossAttention(C, c["heads"]), FeedForward(C, c["hidden"])
        self.ca_norm, self.norm = nn.LayerNorm(C, eps=1e-6), nn.LayerNorm(C, eps=1e-6, elementwise_affine=False)

    def forward(self, x, shared, keys, padding, cos, sin, mask, cache=None):
        gate_a, gate_f, scale_a, scale_f, shift_a, shift_f = (self.ada_gss + shared).unbind(2)
        x = x + gate_a * self.sa(self.norm(x) * (1 + scale_a) + shift_a, cos, sin, mask, cache)
        x = x + self.ca(self.ca_norm(x), keys, padding)
        return x + gate_f * self.ffn(self.norm(x) * (1 + scale_f) + shift_f)


class ByteBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(c["width"], eps=1e-6), nn.LayerNorm(c["width"], eps=1e-6)
        self.heads, self.attention = c["heads"], nn.Module()
        self.attention.qkv, self.attention.proj = nn.Linear(c["width"], 3 * c["width"]), nn.Linear(c["width"], c["width"])
        self.feed_forward = FeedForward(c["width"], c["hidden"])

    def forward(self, x, padding):
        q, k, v = (split_heads(part, self.heads) for part in self.attention.qkv(self.norm1(x)).chunk(3, -1))
        x = x + self.attention.proj(join_heads(F.scaled_dot_product_attention(q, k, v, padding)))
        return x + self.feed_forward(self.norm2(x))


class ByteEncoder(nn.Module):
    def __init__(self, c, limit):
        super().__init__()
        self.embedding = nn.Parameter(torch.zeros(END + 1, c["width"]))
        self.position = nn.Parameter(torch.zeros(limit, c["width"]))
        self.blocks, self.norm = nn.ModuleList(ByteBlock(c) for _ in range(c["depth"])), nn.LayerNorm(c["width"], eps=1e-6)

    def forward(self, ids, padding):
        x = self.embedding[ids] + self.position[:ids.shape[1]]
        for block in self.blocks:
            x = block(x, padding)
        return self.norm(x)


class Infinity(nn.Module):
    """`c` is the model's config.json; tensors have the names of its checkpoint."""

    def __init__(self, c):
        super().__init__()
        C, T = c["width"], c["text_width"]
        c = c | {"hidden": c.get("hidden") or round(4 * C / 256) * 256}
        self.c, self.width = c, C
        self.cfg_uncond = nn.Parameter(torch.zeros(c["text_length"], T))
        self.pos_start, self.text_norm = nn.Parameter(torch.zeros(1, 1, C)), nn.RMSNorm(T, eps=1e-6)
        self.text_proj_for_sos = nn.Module()
        self.text_proj_for_sos.ca = Pool(C, c["pool_heads"], T)
        self.text_proj_for_ca = nn.Sequential(nn.Linear(T, C), nn.GELU("tanh"), nn.Linear(C, C))
        self.lvl_embed, self.word_embed = nn.Embedding(c["levels"], C), nn.Linear(c["bits"], C)
        self.shared_ada_lin = nn.Sequential(nn.SiLU(), nn.Linear(C, 6 * C))
        self.blocks = nn.ModuleList(Block(c) for _ in range(c["depth"]))
        self.head_nm = nn.Module()
        self.head_nm.ada_lin = nn.Sequential(nn.SiLU(), nn.Linear(C, 2 * C))
        self.head, self.norm = nn.Linear(C, 2 * c["bits"]), nn.LayerNorm(C, eps=1e-6, elementwise_affine=False)
        self.text_encoder = ByteEncoder(c["text_encoder"], c["text_length"])
        self._place(c["scales"], C // c["heads"])

    def _place(self, scales, head_dim):
        half, finest, rows = head_dim // 2, scales[-1], []
        inverse = 10000.0 ** (-torch.arange(0, half, 2) / half)
        for n in scales:
            index = torch.tensor([round(i * finest / n) for i in range(n)])
            y, x = torch.meshgrid(index, index, indexing="ij")
            rows.append(torch.cat([y.reshape(-1, 1) * inverse, x.reshape(-1, 1) * inverse], 1))
        angles, level = torch.cat(rows), torch.cat([torch.full((n * n,), k) for k, n in enumerate(scales)])
        tables = {"cos": angles.cos(), "sin": angles.sin(), "level": level, "mask": level[:, None] >= level[None, :]}
        for name, table in tables.items():
            self.register_buffer(name, table, persistent=False)

    def text(self, prompts):
        rows = [list(p.encode()[:self.c["text_length"] - 1]) + [END] for p in prompts]
        longest = max(map(len, rows))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
        lengths = torch.tensor([len(row) for row in rows])
        padding = None if len(rows) == 1 else (torch.arange(longest) < lengths[:, None])[:, None, None]
        return self.text_encoder(ids, padding), padding

    def condition(self, states, padding):
        states = self.text_norm(states)
        pooled = self.text_proj_for_sos.ca(states, padding)
        return pooled, self.shared_ada_lin(pooled).view(-1, 1, 6, self.width), self.text_proj_for_ca(states)

    def head_of(self, x, pooled):
        scale, shift = self.head_nm.ada_lin(pooled).view(-1, 1, 2, self.width).unbind(2)
        return self.head(self.norm(x) * (1 + scale) + shift).unflatten(-1, (-1, 2))

    def forward(self, inputs, states, padding):
        """Teacher-forced logits [B, L, d, 2]."""
        pooled, shared, prompt = self.condition(states, padding)
        x = torch.cat([pooled[:, None] + self.pos_start, self.word_embed(inputs)], 1) + self.lvl_embed(self.level)
        for block in self.blocks:
            x = block(x, shared, block.ca.keys(prompt), padding, self.cos, self.sin, self.mask)
        return self.head_of(x, pooled)

    @torch.inference_mode()
    def draw(self, codec, prompts, cfg, tau, cached=True):
        """Pictures uint8 [B, H, W, 3] of `prompts` (of one length); top-p has no part in it."""
        c, d, B = self.c, self.c["bits"], len(prompts)
        states, _ = self.text(prompts)
        nothing = self.cfg_uncond[:states.shape[1]].expand_as(states)
        pooled, shared, prompt = self.condition(torch.cat([states, nothing]), None)
        keys = [block.ca.keys(prompt) for block in self.blocks]
        caches = [[] if cached else None for _ in self.blocks]
        edge = c["scales"][-1]
        total, begin, seen = torch.zeros(B, d, edge, edge), 0, []
        for k, n in enumerate(c["scales"]):
            if k == 0:
                x = pooled[:, None] + self.pos_start
            else:
                x = self.word_embed(resize(total, n, "bilinear").flatten(2).transpose(1, 2)).repeat(2, 1, 1)
            x = x + self.lvl_embed.weight[k]
            end, first = begin + n * n, begin
            if not cached:  # every scale goes through the blocks again with all scales before it
                seen.append(x)
                x, first = torch.cat(seen, 1), 0
            mask = None if cached else self.mask[first:end, first:end]
            for block, key, cache in zip(self.blocks, keys, caches):
                x = block(x, shared, key, None, self.cos[first:end], self.sin[first:end], mask, cache)
            logits = self.head_of(x[:, begin - first:], pooled) / tau
            logits = cfg * logits[:B] + (1 - cfg) * logits[B:]
            bits = torch.multinomial(logits.softmax(-1).flatten(0, 2), 1).view(B, n * n, d).transpose(1, 2).reshape(B, d, n, n)
            total = total + resize((2 * bits - 1) / d**0.5, edge, "bilinear")
            begin = end
        return ((codec.decoder(total).clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1)


def training_loss(model, prompts, dropped, latents, flips):
    """Bitwise self-correction and the weighted bit loss."""
    scales = model.c["scales"]
    bits, sums = quantise(latents, scales, flips)
    inputs = torch.cat([resize(s, n, "bilinear").flatten(2) for s, n in zip(sums, scales[1:])], 2).transpose(1, 2)
    labels = torch.cat([b.flatten(2) for b in bits], 2).transpose(1, 2)
    states, padding = model.text(prompts)
    states = torch.where(dropped.view(-1, 1, 1), model.cfg_uncond[:states.shape[1]], states)
    logits = model(inputs, states, padding)
    area = torch.cat([torch.full((n * n,), float(n * n)) for n in scales])
    weight = (area[-1] / area).sqrt()
    per_bit = F.cross_entropy(logits.flatten(0, 2), labels.long().flatten(), reduction="none").view(labels.shape)
    return (per_bit.mean(-1) * (weight / weight.sum())).sum(1).mean()
