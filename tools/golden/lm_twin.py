"""Twins of the decoder language models: the published library itself (transformers), with tiny random weights.

Writes tests/golden/data/lm/FAMILY/, a model directory as releases are laid out (config.json, weights), and in it
expected.safetensors: ids, logits, greedy tokens with their margins, logits of rows padded on the left; for some families
also gradients and ten AdamW losses, or a longer text. Everything is computed in fp32 by the eager attention path; models with
gated DeltaNets in fp64, because sums of their decays in fp32 leave the library no nearer to itself, read in pieces, than 4e-4.

    lm_twin.py --read DIR FILE   loads a directory that the engine wrote and says how far its logits are from FILE's
"""
import json
import os
import shutil
import sys

import torch
import transformers
from safetensors.torch import load_file, save_file

from golden import DATA, gradients, ten_losses, write_fixture

VOCABULARY = 96
# the comment beside each one says what it tests
FAMILIES = {
    # grouped heads, biases, tied; a window in all blocks but the first that is shorter than the sequence; one file, fp32
    "qwen2": (transformers.Qwen2Config, dict(
        hidden_size=48, num_attention_heads=6, num_key_value_heads=2, intermediate_size=72, num_hidden_layers=3,
        tie_word_embeddings=True, use_sliding_window=True, sliding_window=9, max_window_layers=1,
        rope_parameters=dict(rope_type="default", rope_theta=1e6)), "float32", "5GB"),
    # heads wider than width / heads, biases everywhere, untied, stretched rotary positions beyond the first context; shards
    "llama": (transformers.LlamaConfig, dict(
        hidden_size=48, num_attention_heads=4, num_key_value_heads=2, head_dim=16, intermediate_size=72,
        num_hidden_layers=3, attention_bias=True, mlp_bias=True, tie_word_embeddings=False, rms_norm_eps=1e-5,
        rope_parameters=dict(rope_type="llama3", rope_theta=500.0, factor=4.0, low_freq_factor=1.0,
                             high_freq_factor=4.0, original_max_position_embeddings=16)), "float32", "120KB"),
    # one head of keys, norms of 1 + weight, scaled embeddings; stored in bf16
    "gemma": (transformers.GemmaConfig, dict(
        hidden_size=48, num_attention_heads=4, num_key_value_heads=1, head_dim=16, intermediate_size=80,
        num_hidden_layers=3, rope_parameters=dict(rope_type="default", rope_theta=1e4)), "bfloat16", "5GB"),
    # soft caps that bite, windows in every other block, four norms, a scale of its own
    "gemma2": (transformers.Gemma2Config, dict(
        hidden_size=48, num_attention_heads=4, num_key_value_heads=2, head_dim=16, intermediate_size=80,
        num_hidden_layers=4, query_pre_attn_scalar=24, attn_logit_softcapping=2.0, final_logit_softcapping=3.0,
        sliding_window=7, rope_parameters=dict(rope_type="default", rope_theta=1e4)), "float32", "5GB"),
    # norms after alone, norms of q and k, grouped heads, untied; stored in fp16
    "olmo2": (transformers.Olmo2Config, dict(
        hidden_size=48, num_attention_heads=4, num_key_value_heads=2, intermediate_size=72, num_hidden_layers=3,
        tie_word_embeddings=False, rope_parameters=dict(rope_type="default", rope_theta=5e5)), "float16", "5GB"),
    # norms of each head, heads wider than width / heads, untied; yarn with the factor of attention that it implies
    "qwen3": (transformers.Qwen3Config, dict(
        hidden_size=48, num_attention_heads=4, num_key_value_heads=2, head_dim=16, intermediate_size=72,
        num_hidden_layers=3, tie_word_embeddings=False,
        rope_parameters=dict(rope_type="yarn", rope_theta=1e6, factor=4.0, original_max_position_embeddings=16)),
        "float32", "5GB"),
    # a window in all blocks; positions that are divided
    "mistral": (transformers.MistralConfig, dict(
        hidden_size=48, num_attention_heads=4, num_key_value_heads=2, intermediate_size=72, num_hidden_layers=3,
        sliding_window=9, rope_parameters=dict(rope_type="linear", rope_theta=1e4, factor=4.0)), "float32", "5GB"),
    # every other block without positions, tied; yarn by mscale, with bounds that are not rounded
    "smollm3": (transformers.SmolLM3Config, dict(
        hidden_size=48, num_attention_heads=4, num_key_value_heads=2, intermediate_size=72, num_hidden_layers=4,
        no_rope_layer_interval=2,
        rope_parameters=dict(rope_type="yarn", rope_theta=2e6, factor=8.0, original_max_position_embeddings=16,
                             beta_fast=8.0, beta_slow=0.5, mscale=1.3, mscale_all_dim=0.6, truncate=False)),
        "float32", "5GB"),
    # windows in two of three blocks, which have a rotary base of their own; divided positions in the third; norms of each head
    "gemma3_text": (transformers.Gemma3TextConfig, dict(
        hidden_size=48, num_attention_heads=4, num_key_value_heads=2, head_dim=16, intermediate_size=80,
        num_hidden_layers=4, query_pre_attn_scalar=24, sliding_window=7,
        layer_types=["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
        rope_parameters=dict(sliding_attention=dict(rope_type="default", rope_theta=100.0),
                             full_attention=dict(rope_type="linear", rope_theta=1e4, factor=4.0))), "bfloat16", "5GB"),
    # norms after alone, windows in three of four blocks; yarn in the fourth, with a factor of attention of its own
    "olmo3": (transformers.Olmo3Config, dict(
        hidden_size=48, num_attention_heads=4, num_key_value_heads=2, intermediate_size=72, num_hidden_layers=4,
        sliding_window=7,
        rope_parameters=dict(sliding_attention=dict(rope_type="default", rope_theta=1e3),
                             full_attention=dict(rope_type="yarn", rope_theta=1e3, factor=4.0, attention_factor=1.3,
                                                 original_max_position_embeddings=16))), "float32", "5GB"),
    # fused tensors, a part of each head that turns, a window, long factors from the first pass on (the original context is
    # shorter than the prompt)
    "phi3": (transformers.Phi3Config, dict(
        hidden_size=48, num_attention_heads=4, num_key_value_heads=2, intermediate_size=72, num_hidden_layers=3,
        sliding_window=20, original_max_position_embeddings=8,
        rope_parameters=dict(rope_type="longrope", rope_theta=1e3, partial_rotary_factor=0.5,
                             short_factor=[1.0, 1.1, 1.2], long_factor=[1.3, 2.5, 6.0])), "float32", "5GB"),
    # gated DeltaNets in three of four blocks, two heads of values to one of keys; gated attention, a part of each head that turns
    "qwen3_5_text": (transformers.Qwen3_5TextConfig, dict(
        hidden_size=48, num_attention_heads=4, num_key_value_heads=2, head_dim=16, intermediate_size=72,
        num_hidden_layers=4, linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8,
        linear_value_head_dim=12, rope_parameters=dict(rope_type="default", rope_theta=1e4, partial_rotary_factor=0.5)),
        "float32", "5GB"),
    # the language model of a larger one, whose other tensors are to be left out; as many heads of keys as of values, tied,
    # a longer convolution, every third block attends
    "qwen3_5": (transformers.Qwen3_5Config, dict(
        text_config=dict(
            hidden_size=48, num_attention_heads=4, num_key_value_heads=2, head_dim=16, intermediate_size=72,
            num_hidden_layers=5, layer_types=(["linear_attention"] * 2 + ["full_attention"] + ["linear_attention"] * 2),
            linear_num_key_heads=3, linear_num_value_heads=3, linear_key_head_dim=8, linear_value_head_dim=8,
            linear_conv_kernel_dim=5, tie_word_embeddings=True, vocab_size=VOCABULARY, max_position_embeddings=256,
            rope_parameters=dict(rope_type="default", rope_theta=1e4, partial_rotary_factor=0.5,
                                 mrope_interleaved=True, mrope_section=[2, 1, 1])),
        vision_config=dict(depth=1, hidden_size=16, intermediate_size=16, num_heads=2, out_hidden_size=48,
                           num_position_embeddings=16, patch_size=4),
        tie_word_embeddings=True), "float32", "5GB"),
}
TRAINED = ("gemma2", "qwen3_5_text")  # gradients through caps, windows and grouped heads; through the gated delta rule
LONG = ("qwen3_5_text", "qwen3_5")  # texts of several chunks of the gated delta rule


def seed_weights(model, seed):
    """Nothing at its beginning: norms and biases move, matrices are large enough to be heard."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() > 1:
                parameter.copy_(noise * 0.25)
            else:
                parameter.add_(noise * 0.2)


class Fp64:
    """Stands for torch in a module that says torch.float32."""
    float32 = torch.float64

    def __getattr__(self, name):
        return getattr(torch, name)


def compute_in_fp64():
    from transformers.models.qwen3_5 import modeling_qwen3_5
    modeling_qwen3_5.torch = Fp64()
    torch.Tensor.float = torch.Tensor.double


def class_of(config):
    composite = hasattr(config, "text_config")
    return transformers.AutoModelForImageTextToText if composite else transformers.AutoModelForCausalLM


def load(directory):
    config = transformers.AutoConfig.from_pretrained(directory)
    model = class_of(config).from_pretrained(directory, attn_implementation="eager", dtype=torch.float32).eval()
    return model.double() if "qwen3_5" in config.model_type else model


def build(family, seed):
    kind, sizes, dtype, shard = FAMILIES[family]
    config = kind(**dict(vocab_size=VOCABULARY, max_position_embeddings=256 if family in LONG else 128, bos_token_id=1,
                         eos_token_id=2, pad_token_id=0) | sizes)
    torch.manual_seed(seed)
    model = class_of(config).from_config(config, attn_implementation="eager")
    seed_weights(model, seed)
    directory = os.path.join(DATA, "lm", family)
    shutil.rmtree(directory, ignore_errors=True)
    model.to(getattr(torch, dtype)).save_pretrained(directory, max_shard_size=shard)
    if family == "qwen3_5":  # releases hold a layer for predicting further tokens, which transformers has no module for
        file = os.path.join(directory, "model.safetensors")
        save_file(load_file(file) | {"mtp.fc.weight": torch.ones(2, 2)}, file, metadata={"format": "pt"})
    return load(directory), directory


@torch.no_grad()
def greedy(model, prompt, count):
    """Greedy tokens without a cache; the margin of each over the second most likely one; all logits."""
    ids, margins = prompt, []
    for _ in range(count):
        top = model(ids).logits[:, -1].float().topk(2).values[0]
        margins.append(top[0] - top[1])
        ids = torch.cat([ids, model(ids).logits[:, -1].argmax(-1, keepdim=True)], 1)
    return ids, torch.stack(margins)


def expected(family, seed):
    model, directory = build(family, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    prompt = torch.randint(3, VOCABULARY, (1, 12), generator=generator)
    ids, margins = greedy(model, prompt, 64)
    rows = torch.randint(3, VOCABULARY, (3, 24), generator=generator)
    pad = torch.tensor([0, 5, 17])
    seen = (torch.arange(24)[None] >= pad[:, None]).long()
    with torch.no_grad():
        out = {"ids": ids, "prompt": torch.tensor(12), "margins": margins, "logits": model(ids).logits,
               "padded.ids": rows, "padded.pad": pad,
               "padded.logits": model(rows, attention_mask=seen, position_ids=positions(model, seen)).logits}
    print(f"{family}: {sum(p.numel() for p in model.parameters())} parameters, smallest margin {margins.min():.2e}, "
          f"{(margins < 1e-5).sum()} below 1e-5, {len(ids.unique())} different tokens, files {sorted(os.listdir(directory))}")
    if family in LONG:
        out |= long_text(model, torch.randint(3, VOCABULARY, (1, 150), generator=generator))
    if family in TRAINED:
        out |= training(model, rows)
    write_fixture(f"lm/{family}/expected",
                  {k: v.to(torch.float32) if v.dtype == torch.float64 else v for k, v in out.items()})


def positions(model, seen):
    """Of rows padded on the left; a model that sees has them once for each axis."""
    own = (seen.cumsum(-1) - 1).clamp(min=0)
    return own.expand(3, -1, -1) if hasattr(model.config, "text_config") else own


@torch.no_grad()
def long_text(model, ids):
    """Logits of a text of several chunks, in one piece; in pieces through the library's own cache they are to be the same."""
    whole, cache, pieces = model(ids).logits, None, []
    for piece in ids.split([70, 1, 1, 40, 38], 1):
        out = model(piece, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        pieces.append(out.logits)
    print("  in pieces through the cache:", (torch.cat(pieces, 1) - whole).abs().max().item())
    return {"long.ids": ids, "long.logits": whole}


def training(model, rows):
    weights = {k: v for k, v in model.named_parameters()}

    def loss(w, _step=0):
        logits = torch.func.functional_call(model, dict(w), (rows,)).logits[:, :-1]
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())

    value = loss(weights)
    losses = ten_losses(weights, loss, lambda _name, tensor: tensor.dim() > 1)
    print("losses", losses)
    return {"loss": value, "losses": losses} | {f"gradients.{k}": g for k, g in gradients(weights, value).items()}


def read(directory, file):
    """Loads what the engine wrote, by transformers; FILE holds ids and the logits that the engine gave."""
    want = load_file(file)
    with torch.no_grad():
        print("largest difference", (load(directory)(want["ids"]).logits - want["logits"]).abs().max().item())


if __name__ == "__main__":
    if "--read" in sys.argv:
        read(*sys.argv[2:4])
    elif "--counts" not in sys.argv:
        wanted = sys.argv[1:] or FAMILIES  # names of families: these alone
        for number, name in enumerate(FAMILIES):
            if name in wanted:
                if name in LONG:  # the last ones
                    compute_in_fp64()
                expected(name, 40 + number)
