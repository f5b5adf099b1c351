"""Adapters of every kind that the PEFT library saves, on the tiny language models of lm_twin.py, and the logits with each.

Writes tests/golden/data/adapters/NAME/ (as PEFT saves it, base.txt names the model) and NAME's logits in adapters.safetensors. The logits
are those of the adapter loaded again, which is what a user of PEFT gets.
Beside golden.py's requirements this needs `pip install peft`.
"""
import json
import os
import shutil

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from golden import DATA, write_fixture

OUT = os.path.join(DATA, "adapters")
QV = ["q_proj", "v_proj"]
MODELS = {
    "plain": ("llama", dict(target_modules=QV)),
    "all-linear": ("llama", dict(target_modules="all-linear")),
    "pattern-targets": ("llama", dict(target_modules=r".*\.[01]\..*(up|down)_proj")),
    "rslora": ("llama", dict(target_modules=QV, use_rslora=True)),
    "dora": ("llama", dict(target_modules=["q_proj", "o_proj", "down_proj"], use_dora=True)),
    "dora-rslora": ("qwen2", dict(target_modules=["k_proj", "up_proj"], use_dora=True, use_rslora=True)),
    "patterns": ("llama", dict(target_modules=["q_proj", "k_proj", "v_proj", "o_proj"],
                               rank_pattern={r"^model\.layers\.[01]\.self_attn\.q_proj": 3, "v_proj": 1, r"layers\.\d+\.self_attn\.k_proj": 4},
                               alpha_pattern={"layers.1.self_attn.q_proj": 9, r".*\.q_proj": 5, r"layers\.(0|2)\.self_attn\.(k|o)_proj": 7, "v_proj": 3})),
    "layers": ("llama", dict(target_modules=QV, layers_to_transform=[0, 2], layers_pattern="layers")),
    "transposed": ("llama", dict(target_modules=QV, fan_in_fan_out=True)),
    "saved-modules": ("llama", dict(target_modules=QV, modules_to_save=["lm_head", "embed_tokens", "norm", "mlp"])),
    "saved-head-tied": ("qwen2", dict(target_modules=QV, modules_to_save=["lm_head"])),
    "saved-embedding-tied": ("qwen2", dict(target_modules=QV, modules_to_save=["embed_tokens"])),
    "saved-both-tied": ("qwen2", dict(target_modules=QV, modules_to_save=["embed_tokens", "lm_head"])),
    "bias-lora": ("llama", dict(target_modules=QV, bias="lora_only")),
    "bias-all": ("qwen2", dict(target_modules=["q_proj"], bias="all")),
    "token-rows": ("llama", dict(target_modules=QV, trainable_token_indices=[3, 17, 95])),
    "token-rows-tied": ("qwen2", dict(target_modules=QV, trainable_token_indices={"embed_tokens": [5, 40]})),
    "head": ("llama", dict(target_modules=["lm_head", "q_proj"])),
    "head-tied": ("qwen2", dict(target_modules=["lm_head", "q_proj"])),
    "embedding": ("llama", dict(target_modules=["embed_tokens", "q_proj"])),
    "embedding-tied": ("qwen2", dict(target_modules=["embed_tokens"])),
    "fused": ("phi3", dict(target_modules=["qkv_proj", "gate_up_proj", "o_proj"])),
    "fused-dora": ("phi3", dict(target_modules=["qkv_proj", "down_proj"], use_dora=True)),
    "gaussian": ("llama", dict(target_modules=QV, init_lora_weights="gaussian")),
    "orthogonal": ("llama", dict(target_modules=QV, init_lora_weights="orthogonal", r=2)),
}


def base_of(family):
    return AutoModelForCausalLM.from_pretrained(os.path.join(DATA, "lm", family), dtype=torch.float32).eval()


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    fixture = {}
    for seed, (name, (family, settings)) in enumerate(MODELS.items()):
        torch.manual_seed(seed)
        config = LoraConfig(**{**dict(r=2, lora_alpha=6, task_type="CAUSAL_LM"), **settings})
        model = get_peft_model(base_of(family), config)
        with torch.no_grad():
            for parameter_name, parameter in model.named_parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn_like(parameter) * (0.1 if "lora" in parameter_name else 0.03))
        directory = os.path.join(OUT, name)
        model.save_pretrained(directory)
        os.remove(os.path.join(directory, "README.md"))
        saved = json.load(open(os.path.join(directory, "adapter_config.json")))
        saved["base_model_name_or_path"] = family
        json.dump(saved, open(os.path.join(directory, "adapter_config.json"), "w"), indent=2, sort_keys=True)
        ids = load_file(os.path.join(DATA, "lm", family, "expected.safetensors"))["ids"][:, :12]
        again = PeftModel.from_pretrained(base_of(family), directory)
        with torch.no_grad():
            fixture[name], trained, plain = again(ids).logits, model(ids).logits, base_of(family)(ids).logits
        moved, lost = (fixture[name] - plain).abs().max().item(), (fixture[name] - trained).abs().max().item()
        keys = sorted(k for k in load_file(os.path.join(directory, "adapter_model.safetensors")) if "lora_A" not in k and "lora_B" not in k)
        print(f"{name}: moves logits by {moved:.3f}; loaded again {lost:.1e}; {keys[:6]}")
        assert moved > 0.02
    pickled = os.path.join(OUT, "plain-pickled")  # as PEFT saved it before safetensors
    os.makedirs(pickled)
    shutil.copy(os.path.join(OUT, "plain", "adapter_config.json"), pickled)
    torch.save(load_file(os.path.join(OUT, "plain", "adapter_model.safetensors")), os.path.join(pickled, "adapter_model.bin"))
    ids = {f"ids.{family}": load_file(os.path.join(DATA, "lm", family, "expected.safetensors"))["ids"][:, :12].contiguous() for family in ("llama", "qwen2", "phi3")}
    write_fixture("adapters", {**ids, **{k: v.contiguous() for k, v in fixture.items()}})


if __name__ == "__main__":
    main()
