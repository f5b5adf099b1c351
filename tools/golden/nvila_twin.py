"""Twin of NVILA (arXiv 2412.04468): tiles, SigLIP features, projectors, Dynamic-S2, pooled clips, prompts, logits.

Writes two tiny random checkpoints as they are released (tests/golden/data/nvila-flat: "-hf" layout, Dynamic-S2 with the 2x2
projector; nvila-legacy: llm/, vision_tower/, mm_projector/, dynamic tiles with the 3x3 projector) and what they must answer.
The tower and the language model are those of transformers; everything between them is written here from the paper's and
the releases' description.
"""
import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import Qwen2Config, Qwen2ForCausalLM, SiglipVisionConfig, SiglipVisionModel

from golden import write_fixture
from nvila_directories import MEDIA, QWEN2_TEMPLATE, small_tokenizer, write_flat, write_legacy

EDGE, PATCH, WIDTH, TEXT = 56, 8, 32, 32  # 7 patches along an edge: both projectors fill up with zeros
NEWLINE = "\n"


# --- tiles -------------------------------------------------------------------------------------------------------------


def best_grid(width, height, least, most, edge):
    """(columns, rows): nearest shape; on a tie the later one, if the picture fills more than half of it."""
    candidates = sorted(((c, r) for c in range(1, most + 1) for r in range(1, most + 1) if least <= c * r <= most),
                        key=lambda grid: grid[0] * grid[1])
    best, nearest = (1, 1), float("inf")
    for c, r in candidates:
        away = abs(width / height - c / r)
        if away < nearest:
            best, nearest = (c, r), away
        elif away == nearest and width * height > 0.5 * edge * edge * c * r:
            best = (c, r)
    return best


def tiles_of(picture, columns, rows, edge):
    whole = picture.resize((columns * edge, rows * edge), Image.BICUBIC)
    return [whole.crop((c * edge, r * edge, (c + 1) * edge, (r + 1) * edge)) for r in range(rows) for c in range(columns)]


def pixels(tiles):
    """uint8 [N, S, S, 3] and what the tower takes, [N, 3, S, S]."""
    raw = torch.from_numpy(np.stack([np.asarray(t.convert("RGB")) for t in tiles]).copy())
    return raw, (raw.permute(0, 3, 1, 2).float() * (1 / 255) - 0.5) / 0.5


def frame_places(count, wanted):
    return np.round(np.linspace(0, count - 1, wanted)).astype(int).tolist()


# --- model -------------------------------------------------------------------------------------------------------------


def space_to_channel(x, k):
    n, p, c = x.shape
    g = math.isqrt(p)
    x = F.pad(x.view(n, g, g, c), (0, 0, 0, -g % k, 0, -g % k))
    e = x.shape[1] // k
    return torch.stack([x[:, dr::k, dc::k] for dr in range(k) for dc in range(k)], dim=3).reshape(n, e * e, k * k * c)


class Space(torch.nn.Module):
    def __init__(self, k):
        super().__init__()
        self.k = k

    def forward(self, x):
        return space_to_channel(x, self.k)


def projector(kind, m, h):
    nn = torch.nn
    if kind in ("mlp_downsample", "mlp_downsample_2x2_fix"):
        return nn.Sequential(Space(2), nn.LayerNorm(4 * m), nn.Linear(4 * m, h), nn.GELU(), nn.Linear(h, h))
    if kind == "mlp_downsample_3x3_fix":
        return nn.Sequential(Space(3), nn.LayerNorm(9 * m), nn.Linear(9 * m, 3 * m), nn.GELU(), nn.LayerNorm(3 * m),
                             nn.Linear(3 * m, h), nn.GELU(), nn.Linear(h, h))
    return nn.Sequential(nn.Linear(m, h), nn.GELU(), nn.Linear(h, h))


def randomise(module, seed):
    """Every parameter away from its start, so that nothing hides: norms near 1, biases near 0, matrices by fan in."""
    generator = torch.Generator().manual_seed(seed)
    for name, p in module.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        with torch.no_grad():
            if p.dim() == 1:
                p.copy_((1 if name.endswith("norm.weight") or "norm" in name and name.endswith("weight") else 0) + 0.1 * noise)
            elif "embed" in name and "patch" not in name:
                p.copy_(0.5 * noise)
            else:
                p.copy_(noise / math.sqrt(p[0].numel()))


def stitch(tiles, columns, rows):
    """[rows * columns, g * g, C] -> [rows * g, columns * g, C]."""
    g = math.isqrt(tiles.shape[1])
    squares = tiles.view(-1, g, g, tiles.shape[-1])
    return torch.cat([torch.cat(list(squares[r * columns:(r + 1) * columns]), dim=1) for r in range(rows)], dim=0)


class Nvila:
    def __init__(self, seed, mode, kind, pool, vocabulary, tied):
        self.mode, self.kind, self.pool = mode, kind, pool
        self.scales = [EDGE, 2 * EDGE, 3 * EDGE]
        self.tower = SiglipVisionModel(SiglipVisionConfig(
            hidden_size=WIDTH, intermediate_size=40, num_hidden_layers=3, num_attention_heads=2, image_size=EDGE,
            patch_size=PATCH)).eval()
        self.llm = Qwen2ForCausalLM(Qwen2Config(
            vocab_size=vocabulary, hidden_size=TEXT, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=2048, rope_theta=1e6, tie_word_embeddings=tied,
            bos_token_id=None, eos_token_id=None)).eval()
        m = WIDTH * (3 if mode == "dynamic_s2" else 1)
        self.projector = projector(kind, m, TEXT)
        for part, module in enumerate((self.tower, self.llm, self.projector)):
            randomise(module, seed + part)
        if tied:
            self.llm.tie_weights()

    def seen(self, x):
        return self.tower(pixel_values=x, output_hidden_states=True).hidden_states[-2]

    def alone(self, x):
        """Each picture alone, [N, T, C]."""
        seen = self.seen(x)
        return self.projector(torch.cat([seen] * 3, -1) if self.mode == "dynamic_s2" else seen)

    def joined(self, seen, columns, rows):
        """Dynamic-S2: [tiles, P, W] -> [rows * columns, P, 3W]."""
        maps = [stitch(seen[:1], 1, 1), stitch(seen[1:5], 2, 2), stitch(seen[5:], columns, rows)]
        size = maps[-1].shape[:2]
        same = [F.interpolate(m.permute(2, 0, 1)[None].float(), size=size, mode="area")[0] for m in maps]
        whole = torch.cat(same, 0).permute(1, 2, 0)
        g = EDGE // PATCH
        return torch.stack([whole[r * g:(r + 1) * g, c * g:(c + 1) * g].reshape(g * g, -1)
                            for r in range(rows) for c in range(columns)])

    def media(self, medium, only):
        """(text in the prompt for each token, blocks of rows of each token, uint8 tiles, trace)."""
        if isinstance(medium, list):  # a clip
            raw, x = pixels([f.convert("RGB").resize((EDGE, EDGE), Image.BICUBIC) for f in medium])
            t = self.alone(x)
            t = t.view(-1, self.pool, *t.shape[1:]).mean(1)
            return "<vila/video>", [list(t)], raw, {}
        picture = medium.convert("RGB")
        if only and self.mode == "dynamic":
            c, r = best_grid(*picture.size, 1, 12, EDGE)
            tiles = tiles_of(picture, c, r, EDGE)
            if len(tiles) > 1:
                tiles += tiles_of(picture, 1, 1, EDGE)
            raw, x = pixels(tiles)
            return "<image>\n", [[tile] for tile in self.alone(x)], raw, {}
        if only and self.mode == "dynamic_s2":
            c, r = best_grid(*picture.size, 9, 12, EDGE)
            raw, x = pixels(tiles_of(picture, 1, 1, EDGE) + tiles_of(picture, 2, 2, EDGE) + tiles_of(picture, c, r, EDGE))
            joined = self.joined(self.seen(x), c, r)
            whole = stitch(self.projector(joined), c, r)
            return "<image>", [[whole.reshape(-1, TEXT)]], raw, {"joined": joined}
        raw, x = pixels(tiles_of(picture, 1, 1, EDGE))
        return "<image>", [[self.alone(x)[0]]], raw, {}

    def answer(self, tokenizer, template, media, question):
        """Token ids with media at their positions, embeddings and logits of one question."""
        for token in MEDIA:
            question = question.replace(token, "")
        pictures = sum(not isinstance(m, list) for m in media)
        text, blocks, raws, trace = "", [], [], {}
        for medium in media:
            token, per_token, raw, more = self.media(medium, pictures == 1)
            text += token * len(per_token)
            blocks += per_token
            raws.append(raw)
            trace |= more
        ids = tokenizer(template(text + question.strip()), add_special_tokens=False).input_ids
        table = self.llm.get_input_embeddings().weight
        newline = table[torch.tensor(tokenizer(NEWLINE, add_special_tokens=False).input_ids)]
        special = {tokenizer.convert_tokens_to_ids(t) for t in MEDIA}
        parts, laid = [], []
        for i in ids:
            if i in special:
                for block in blocks.pop(0):
                    parts += [block, newline]
                    laid += [-1] * len(block) + tokenizer(NEWLINE, add_special_tokens=False).input_ids
            else:
                parts.append(table[i][None])
                laid.append(i)
        assert not blocks
        x = torch.cat(parts)
        logits = self.llm(inputs_embeds=x[None]).logits[0]
        return {"ids": torch.tensor(laid), "embeddings": x, "logits": logits[-12:], **trace,
                **({"tiles": torch.cat(raws)} if raws else {})}


# --- fixtures ----------------------------------------------------------------------------------------------------------


def noise_picture(seed, width, height, alpha=False):
    """Smooth colour with noise over it, so that both resizing and features have something to see."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    ramps = np.stack([x * 255 / width, y * 255 / height, (x + y) * 127 / (width + height)], -1)
    raw = np.clip(ramps + generator.normal(0, 40, ramps.shape), 0, 255).astype(np.uint8)
    if alpha:
        raw = np.concatenate([raw, generator.integers(0, 256, (height, width, 1), dtype=np.uint8)], -1)
    return Image.fromarray(raw)


def raw_of(picture):
    return torch.from_numpy(np.asarray(picture).copy())


def answers(model, tokenizer, template, cases):
    out = {}
    for name, (media, question) in cases.items():
        flat = [p for m in media for p in (m if isinstance(m, list) else [m])]
        out |= {f"{name}.media.{i}": raw_of(p) for i, p in enumerate(flat)}
        out |= {f"{name}.{k}": v for k, v in model.answer(tokenizer, template, media, question).items()}
    return out


def main():
    torch.set_grad_enabled(False)
    tokenizer = small_tokenizer()
    rows = len(tokenizer)
    clip = [noise_picture(20 + i, 40, 30) for i in range(8)]

    base = Nvila(100, "dynamic_s2", "mlp_downsample_2x2_fix", 4, rows + 2, True)
    write_flat(base, tokenizer)

    def own(message):
        return ("<|im_start|>system\nYou are a helpful assistant<|im_end|>\n<|im_start|>user\n" + message
                + "<|im_end|>\n<|im_start|>assistant\n")

    questions = {"one": ([noise_picture(1, 90, 61)], " how many cats are in the picture? <image>\n"),
                 "two": ([noise_picture(2, 30, 44), noise_picture(3, 70, 20, True)], "What is the same?"),
                 "clip": ([clip], "where does it go?"), "words": ([], "the end")}
    fixture = answers(base, tokenizer, own, questions)
    raw, x = pixels([noise_picture(5, EDGE, EDGE)])
    write_fixture("nvila_flat", fixture | {"tower.tiles": raw, "tower.features": base.seen(x), "tower.projected": base.alone(x)},
                  questions={k: q for k, (_, q) in questions.items()})

    lite = Nvila(200, "dynamic", "mlp_downsample_3x3_fix", 2, rows - 3, False)  # media tokens have no rows
    with torch.no_grad():
        for p in lite.llm.parameters():
            p.copy_(p.bfloat16().float())
    write_legacy(lite, tokenizer)
    tokenizer.chat_template = QWEN2_TEMPLATE

    def stored(message):
        return tokenizer.apply_chat_template([{"role": "user", "content": message}], tokenize=False, add_generation_prompt=True)

    questions = {"one": ([noise_picture(6, 100, 50)], "is the cat blue?"), "tall": ([noise_picture(7, 20, 21)], "?"),
                 "two": ([noise_picture(2, 30, 44), noise_picture(3, 70, 20, True)], "What is the same?"),
                 "clip": ([clip], "where does it go?")}
    write_fixture("nvila_legacy", answers(lite, tokenizer, stored, questions),
                  questions={k: q for k, (_, q) in questions.items()})

    kinds = ("mlp_downsample", "mlp_downsample_2x2_fix", "mlp_downsample_3x3_fix", "mlp2x_gelu")
    parts = {}
    for seed, kind in enumerate(kinds):
        module = projector(kind, 6, 10)
        randomise(module, 300 + seed)
        for grid in (4, 7, 9):
            x = torch.randn(2, grid * grid, 6, generator=torch.Generator().manual_seed(grid))
            parts |= {f"{kind}.{grid}.in": x, f"{kind}.{grid}.out": module(x)}
        parts |= {f"{kind}.weights.layers.{k}": v for k, v in module.state_dict().items()}
    generator = np.random.default_rng(9)
    sizes = generator.integers(16, 3000, (1000, 2))
    sizes[:40] = [(w, h) for w in (224, 448, 640, 896, 1344) for h in (448, 672, 896, 1000, 1344, 1792, 2240, 480)]
    parts["sizes"] = torch.from_numpy(sizes)
    parts["dynamic"] = torch.tensor([best_grid(w, h, 1, 12, 448) for w, h in sizes.tolist()])
    parts["dynamic_s2"] = torch.tensor([best_grid(w, h, 9, 12, 448) for w, h in sizes.tolist()])
    pairs = [(count, wanted) for count in (1, 2, 5, 8, 10, 31, 240, 107892) for wanted in (1, 2, 3, 8, 16, 256)]
    parts["frame_pairs"] = torch.tensor(pairs)
    parts |= {f"frames.{i}": torch.tensor(frame_places(*pair)) for i, pair in enumerate(pairs)}
    write_fixture("nvila_parts", parts)


if __name__ == "__main__":
    main()
