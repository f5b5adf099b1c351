"""The directories of the NVILA twin's checkpoints as they are released: tokenizer, shards and configs in both layouts."""
import json
import os
import shutil

from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from golden import DATA

MEDIA = ("<image>", "<vila/video>", "<vila/sentinel>")
QWEN2_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    "You are a helpful assistant.<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


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
        "max_tiles": 12, "num_video_frames": 8, "mm_vision_select_layer": -2, "mm_hidden_size": model.tower.config.hidden_size,
        "hidden_size": model.llm.config.hidden_size,
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
