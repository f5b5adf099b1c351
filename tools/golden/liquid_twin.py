"""Twin of Liquid's drawing: a tiny Gemma by transformers in Liquid_V1_7B's layout, and the published loop's order of operations.

Writes tests/golden/data/liquid (config.json with hidden_act "gelu" and no hidden_activation, model.safetensors without lm_head, tokenizer.json
with <boi>, <eoi> and <unconditional> at 7 to 9) and liquid.safetensors: ids of prompts as `tokenizers` makes them, logits and ids of a greedy
drawing, and of a sampled one with the exponentials that torch.multinomial draws by. The loop has no cache: each step reads everything
again, left-padded, as the published one pads.
"""
import json
import os

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors
from transformers import GemmaConfig, GemmaForCausalLM

from golden import DATA, write_fixture

CODES, EDGE, STEPS = 48, 8, 24
SUFFIX = " Generate an image based on this description."
PROMPTS = ["a red cat", "two dogs on a hill, at night"]
CFG, TEMPERATURE, TOP_K, TOP_P = 7.0, 0.99, 20, 0.96


def tokenizer():
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "[multimodal]", "<spare>", "<boi>", "<eoi>", "<unconditional>"]
    pieces += [f"<0x{b:02X}>" for b in range(256)] + ["▁"] + [chr(c) for c in range(97, 123)] + ["G", ".", ",", "\n"]
    merges = []
    for word in ("▁a", "▁an", "▁im", "▁image", "re", "red", "▁red", "on", "▁on", "ge"):
        left, right = {"▁image": ("▁im", "age"), "▁im": ("▁i", "m"), "▁an": ("▁a", "n"), "▁red": ("▁", "red")}.get(word, (word[:-1], word[-1]))
        for part in (left, right, word):
            if part not in pieces:
                pieces.append(part)
        merges.append((left, right))
    t = Tokenizer(models.BPE({p: i for i, p in enumerate(pieces)}, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    t.normalizer = normalizers.Replace(" ", "▁")
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<boi>", "<eoi>", "<unconditional>", "<start_of_turn>", "<end_of_turn>"]
    t.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in special])
    t.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])
    return t


def filtered(logits, first):
    """The published top-k and top-p filter, over one row [V]; text ids are banned inside it."""
    logits = logits.clone()
    logits[:first] = -float("inf")
    logits[logits < torch.topk(logits, TOP_K)[0][-1]] = -float("inf")
    ordered, order = torch.sort(logits, descending=True)
    past = torch.cumsum(F.softmax(ordered, dim=-1), dim=-1) > TOP_P
    past[1:] = past[:-1].clone()
    past[0] = False
    logits[past.scatter(0, order, past)] = -float("inf")
    return logits


@torch.no_grad()
def draw(model, conditional, unconditional, first, sampled, generator):
    ids = torch.tensor([conditional, [0] * (len(conditional) - len(unconditional)) + unconditional])
    mask = torch.ones_like(ids)
    mask[1, :len(conditional) - len(unconditional)] = 0
    drawn, seen, draws = [], [], []
    for _ in range(STEPS):
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        logits = model(input_ids=ids, attention_mask=mask, position_ids=positions).logits[:, -1].float()
        mixed = (logits[1] + CFG * (logits[0] - logits[1])) / max(TEMPERATURE, 1e-5)
        probabilities = filtered(mixed, first).softmax(-1)
        if sampled:
            exponential = torch.empty_like(probabilities).exponential_(1, generator=generator)
            draws.append(exponential)
            token = (probabilities / exponential).argmax()
        else:
            token = probabilities.argmax()
        seen.append(logits)
        drawn.append(token)
        ids = torch.cat([ids, token.view(1, 1).expand(2, 1)], 1)
        mask = torch.cat([mask, mask.new_ones(2, 1)], 1)
    return torch.stack(drawn), torch.stack(seen), draws


def main():
    torch.manual_seed(5)
    words = tokenizer()
    first = words.get_vocab_size()
    config = GemmaConfig(vocab_size=first + CODES, hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2,
                         num_key_value_heads=2, head_dim=32, max_position_embeddings=160, hidden_act="gelu_pytorch_tanh", hidden_activation="gelu_pytorch_tanh",
                         rms_norm_eps=1e-6, pad_token_id=0, bos_token_id=2, eos_token_id=1, attn_implementation="eager")
    model = GemmaForCausalLM(config).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.randn_like(p) * (0.25 if p.dim() > 1 else 0.2))
    folder = os.path.join(DATA, "liquid")
    os.makedirs(folder, exist_ok=True)
    words.save(os.path.join(folder, "tokenizer.json"))
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
        json.dump({"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>", "add_bos_token": True}, file, indent=1)
    tree = {k: v for k, v in config.to_dict().items() if k not in ("hidden_activation", "_attn_implementation_autoset")}
    tree.update(architectures=["GemmaForCausalLM"], hidden_act="gelu", hidden_activation=None, torch_dtype="float32")
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(tree, file, indent=1)
    with open(os.path.join(folder, "generation_config.json"), "w") as file:
        json.dump({"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}, file, indent=1)
    state = {k: v.contiguous() for k, v in model.state_dict().items() if k != "lm_head.weight"}
    save_file(state, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})

    tensors, margins = {}, []
    unconditional = words.encode("<unconditional><boi>").ids
    tensors["unconditional"] = torch.tensor(unconditional)
    for i, prompt in enumerate(PROMPTS):
        conditional = words.encode(prompt + SUFFIX + "<boi>").ids
        tensors[f"prompt.{i}"] = torch.tensor(conditional)
        for kind in ("greedy", "sampled"):
            generator = torch.Generator().manual_seed(40 + i)
            ids, logits, draws = draw(model, conditional, unconditional, first, kind == "sampled", generator)
            tensors[f"{kind}.ids.{i}"], tensors[f"{kind}.logits.{i}"] = ids, logits.half() if kind == "sampled" else logits
            if draws:
                tensors[f"exponentials.{i}"] = torch.stack(draws)
            if kind == "greedy":
                mixed = (logits[:, 1] + CFG * (logits[:, 0] - logits[:, 1]))[:, first:]
                top = mixed.topk(2).values
                margins.append((top[:, 0] - top[:, 1]).min().item())
    question = "what is it?"
    before = words.encode("<start_of_turn>user\n<boi>").ids
    after = words.encode(f"<eoi>\n{question}<end_of_turn>\n<start_of_turn>model\n").ids[1:]
    tensors["seeing.before"], tensors["seeing.after"] = torch.tensor(before), torch.tensor(after)
    print("smallest greedy margin", min(margins), "text ids", first)
    write_fixture("liquid", tensors, prompts=PROMPTS, question=[question], first=first,
                  drawing={"cfg": CFG, "temperature": TEMPERATURE, "top_k": TOP_K, "top_p": TOP_P})


if __name__ == "__main__":
    main()
