"""Twin of NVILA (arXiv 2412.04468): tiles, SigLIP features, projectors, Dynamic-S2, pooled clips, prompts, logits.

Writes two tiny random checkpoints as they are released (tests/golden/data/nvila-flat: "-hf" layout, Dynamic-S2 with the 2x2
projector; nvila-legacy: llm/, vision_tower/, mm_projector/, dynamic tiles with the 3x3 projector) and what they must answer.
The tower and the language model are those of transformers; everything between them is written here from the paper's and
the releases' description.
"""
import json
import math
import os
import shutil

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM, SiglipVisionConfig, SiglipVisionModel

from golden import DATA, write_fixture

EDGE, PATCH, WIDTH, TEXT = 56, 8, 32, 32  # 7 patches along an edge: both projectors fill up with zeros
NEWLINE = "\n"
MEDIA = ("<image>", "<vila/video>", "<vila/sentinel>")
QWEN2_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    "You are a helpful assistant.<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


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
        """Each picture by itself, [N, T, C]."""
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
        """Token ids with media in their places, embeddings and logits of one question."""
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


# --- tokenizer ---------------------------------------------------------------------------------------------------------

QWEN2_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def small_tokenizer():
    """A byte-level BPE in Qwen2's form: 256 bytes, a few merges, Qwen2's control tokens, NVILA's media tokens last."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(alphabet)}
    merges = [("t", "h"), ("th", "e"), ("i", "n"), ("Ġ", "the"), ("o", "w"), ("a", "t"), ("Ġ", "c"), ("Ġc", "at")]
    for a, b in merges:
        vocabulary[a + b] = len(vocabulary)
    fast = Tokenizer(models.BPE(vocabulary, merges))
    fast.normalizer = normalizers.NFC()
    fast.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN2_SPLIT), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    fast.decoder = decoders.ByteLevel()
    fast.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in
                             ("<|endoftext|>", "<|im_start|>", "<|im_end|>") + MEDIA])
    return PreTrainedTokenizerFast(tokenizer_object=fast, eos_token="<|im_end|>", pad_token="<|endoftext|>")


# --- checkpoints -------------------------------------------------------------------------------------------------------


def sharded(directory, tensors, shards):
    """Several shards and their index."""
    os.makedirs(directory, exist_ok=True)
    names, index = list(tensors), {}
    for s in range(shards):
        file = f"model-{s + 1:05d}-of-{shards:05d}.safetensors"
        part = {k: tensors[k].contiguous().clone() for k in names[s::shards]}
        save_file(part, os.path.join(directory, file), metadata={"format": "pt"})
        index |= {k: file for k in part}
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    write_json(os.path.join(directory, "model.safetensors.index.json"),
               {"metadata": {"total_size": total}, "weight_map": dict(sorted(index.items()))})


def write_json(path, tree):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        json.dump(tree, file, indent=1)
        file.write("\n")


def tower_weights(model):
    """Under the names of the released checkpoints, the unused pooling head and last norm included."""
    return {k if k.startswith("vision_model.") else "vision_model." + k: v for k, v in model.tower.state_dict().items()}


def llm_weights(model):
    return {k: v for k, v in model.llm.state_dict().items() if not (k == "lm_head.weight" and model.llm.config.tie_word_embeddings)}


def text_config(model):
    c = model.llm.config
    return {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": c.vocab_size, "hidden_size": c.hidden_size,
            "intermediate_size": c.intermediate_size, "num_hidden_layers": c.num_hidden_layers,
            "num_attention_heads": c.num_attention_heads, "num_key_value_heads": c.num_key_value_heads, "hidden_act": "silu",
            "max_position_embeddings": c.max_position_embeddings, "rms_norm_eps": c.rms_norm_eps, "rope_theta": 1e6,
            "use_sliding_window": False, "tie_word_embeddings": c.tie_word_embeddings, "attention_dropout": 0.0}


def vision_config(model):
    c = model.tower.config
    return {"model_type": "siglip_vision_model", "hidden_size": c.hidden_size, "image_size": c.image_size,
            "intermediate_size": c.intermediate_size, "num_attention_heads": c.num_attention_heads,
            "num_hidden_layers": c.num_hidden_layers, "patch_size": c.patch_size, "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": c.layer_norm_eps, "num_channels": 3}


def fresh(name):
    directory = os.path.join(DATA, name)
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    return directory


def save_tokenizer(tokenizer, directory, template):
    os.makedirs(directory, exist_ok=True)
    tokenizer._tokenizer.save(os.path.join(directory, "tokenizer.json"), pretty=False)
    tree = {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "bos_token": None,
            "model_max_length": 2048}
    write_json(os.path.join(directory, "tokenizer_config.json"), tree | ({"chat_template": template} if template else {}))


def write_flat(model, tokenizer):
    directory = fresh("nvila-flat")
    weights = ({"llm." + k: v for k, v in llm_weights(model).items()}
               | {"vision_tower." + k: v for k, v in tower_weights(model).items()}
               | {"mm_projector.layers." + k: v for k, v in model.projector.state_dict().items()})
    sharded(directory, weights, 2)
    write_json(os.path.join(directory, "config.json"), {
        "architectures": ["NVILAForConditionalGeneration"], "model_type": "nvila", "text_config": text_config(model),
        "vision_config": vision_config(model), "image_token_id": tokenizer.convert_tokens_to_ids("<image>"),
        "video_token_id": tokenizer.convert_tokens_to_ids("<vila/video>"), "video_encoder": {"pool_sizes": [[4, 1, 1]]}})
    save_tokenizer(tokenizer, directory, None)


def write_legacy(model, tokenizer):
    directory = fresh("nvila-legacy")
    write_json(os.path.join(directory, "config.json"), {
        "architectures": ["LlavaLlamaModel"], "model_type": "llava_llama", "image_aspect_ratio": "dynamic", "min_tiles": 1,
        "max_tiles": 12, "num_video_frames": 8, "mm_vision_select_layer": -2, "mm_hidden_size": WIDTH, "hidden_size": TEXT,
        "video_encoder": json.dumps({"_target_": "llava.model.encoders.TSPVideoEncoder", "pool_sizes": [[2, 1, 1]]})})
    sharded(os.path.join(directory, "llm"), {k: v.bfloat16() for k, v in llm_weights(model).items()}, 2)
    write_json(os.path.join(directory, "llm", "config.json"), text_config(model))
    save_tokenizer(tokenizer, os.path.join(directory, "llm"), QWEN2_TEMPLATE)
    for part, weights, config in (
            ("vision_tower", tower_weights(model), vision_config(model)),
            ("mm_projector", {"layers." + k: v for k, v in model.projector.state_dict().items()},
             {"model_type": "v2l_projector", "mm_projector_type": model.kind})):
        os.makedirs(os.path.join(directory, part))
        save_file({k: v.contiguous().clone() for k, v in weights.items()}, os.path.join(directory, part, "model.safetensors"))
        write_json(os.path.join(directory, part, "config.json"), config)


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
