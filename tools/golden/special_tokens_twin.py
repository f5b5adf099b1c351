"""Where files name special tokens, and which tokens and ids transformers' PreTrainedTokenizerFast makes of it.

Writes tests/golden/data/text/special_tokens.json: for each layout the files of a directory, the ids of one line with control
tokens found, and the ids that are special.
"""
import json
import os
import tempfile

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

OUT = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "golden", "data", "text", "special_tokens.json")
LINE = "hello <|im_start|> he\nhi <|im_end|> <tool> x<tool>y <s>a</s> <pad><new><new2><x> he <img>"
NAMED = ["<|im_start|>", "<|im_end|>", "<tool>", "<s>", "</s>", "<pad>"]
MERGES = [("h", "e"), ("l", "l"), ("\u0120", "h")]
LETTERS = {token: i for i, token in enumerate(sorted(set(LINE.replace(" ", "\u0120").replace("\n", "\u010a"))) + ["he", "ll", "\u0120h"])}
VOCABULARY = {**LETTERS, **{token: len(LETTERS) + i for i, token in enumerate(NAMED)}}
SIZE, TOOL, PAD = len(VOCABULARY), VOCABULARY["<tool>"], VOCABULARY["<pad>"]


def tokenizer(added=(), begins=False, vocabulary=VOCABULARY):
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=MERGES))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    made.decoder = decoders.ByteLevel()
    made.add_tokens(list(added))
    if begins:
        made.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", made.token_to_id("<s>"))])
    return json.loads(made.to_str())


def token(content, **flags):
    return {**dict(content=content, lstrip=False, rstrip=False, normalized=False, single_word=False), **flags}


def decoder(token_id, content, **flags):
    return {"added_tokens_decoder": {str(token_id): token(content, **{"special": True, **flags})}}


def layouts():
    plain, few = tokenizer(), tokenizer(vocabulary=LETTERS)
    ends = {"eos_token": "<|im_end|>"}
    special = [AddedToken(t, special=True, normalized=False) for t in ("<s>", "</s>")]
    odd = [AddedToken("<tool>", special=False, normalized=True, lstrip=True)]
    kind = {"__type": "AddedToken"}
    return {
        "config names": (plain, dict(config={"bos_token": "<|im_start|>", **ends, "pad_token": "<pad>"})),
        "config objects": (plain, dict(config={"bos_token": token("<|im_start|>", rstrip=True, **kind),
                                               "eos_token": token("<|im_end|>", lstrip=True, **kind)})),
        "config additional": (plain, dict(config={**ends, "additional_special_tokens": ["<tool>", "<s>"]})),
        "config extra list": (plain, dict(config={**ends, "extra_special_tokens": ["<tool>"]})),
        "config extra object": (plain, dict(config={**ends, "extra_special_tokens": {"tool_token": "<tool>"}})),
        "config own key": (plain, dict(config={**ends, "image_token": "<tool>"})),
        "config null": (plain, dict(config={"bos_token": None, "pad_token": "<pad>"})),
        "config extra before additional": (plain, dict(config={"additional_special_tokens": ["<tool>"], "extra_special_tokens": ["<pad>"]})),
        "map names": (plain, dict(config={}, map={"bos_token": "<|im_start|>", **ends, "additional_special_tokens": ["<tool>"]})),
        "map objects": (plain, dict(config={}, map={"bos_token": token("<|im_start|>"), "eos_token": token("<|im_end|>", lstrip=True, normalized=True)})),
        "map extra": (plain, dict(config={}, map={"extra_special_tokens": ["<tool>", token("<|im_end|>", lstrip=True)]})),
        "map without config": (plain, dict(map=ends)),
        "map before config": (plain, dict(config=ends, map={"eos_token": "<tool>"})),
        "map passed over": (plain, dict(config=decoder(TOOL, "<tool>"), map=ends)),
        "map passed over, none listed": (plain, dict(config={"added_tokens_decoder": {}}, map=ends, added={"<new>": SIZE})),
        "added, one named": (plain, dict(config={}, map={"eos_token": "<tool>"}, added={"<tool>": TOOL, "<new>": SIZE})),
        "added, ids with gaps": (plain, dict(added={"<new2>": SIZE + 4, "<new>": SIZE + 2})),
        "decoder in vocabulary": (plain, dict(config={**ends, **decoder(TOOL, "<tool>", rstrip=True)})),
        "decoder not special": (plain, dict(config={**ends, **decoder(PAD, "<pad>", special=False, normalized=True)})),
        "decoder not special, named": (plain, dict(config={"eos_token": "<tool>", **decoder(TOOL, "<tool>", special=False, lstrip=True)})),
        "decoder new": (plain, dict(config={"eos_token": "<new>", **decoder(SIZE, "<new>")})),
        "decoder, id with a gap": (plain, dict(config={"eos_token": "<new>", **decoder(SIZE + 5, "<new>")})),
        "named, not in vocabulary": (few, dict(config={"pad_token": "<pad>", "eos_token": "</s>", "image_token": "<img>",
                                                       "additional_special_tokens": ["<x>", "</s>"]})),
        "named in map, not in vocabulary": (few, dict(map={"pad_token": "<pad>", "bos_token": "<s>", "additional_special_tokens": ["<x>"]})),
        "added, then named": (tokenizer(special), dict(config={"eos_token": "<x>"})),
        "not special in tokenizer.json": (tokenizer(odd), dict(config={"eos_token": "<tool>"})),
        "extra, not special in tokenizer.json": (tokenizer(odd), dict(config={"extra_special_tokens": ["<tool>"]})),
        "other flags than tokenizer.json": (tokenizer(odd), dict(config=decoder(TOOL, "<tool>", rstrip=True))),
        "flags beside a template": (tokenizer(special, True), dict(config={"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": False, "add_eos_token": True})),
        "flags without a template": (tokenizer(special), dict(config={"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": True})),
    }


def main():
    names = dict(config="tokenizer_config.json", map="special_tokens_map.json", added="added_tokens.json")
    rows = []
    for name, (tree, files) in layouts().items():
        files = {"tokenizer.json": tree, **{names[key]: value for key, value in files.items()}}
        with tempfile.TemporaryDirectory() as folder:
            for file, content in files.items():
                with open(os.path.join(folder, file), "w") as out:
                    json.dump(content, out)
            made = PreTrainedTokenizerFast.from_pretrained(folder)
            added = made._tokenizer.get_added_tokens_decoder()
            rows.append(dict(layout=name, files=files, ids=made.encode(LINE), size=len(made),
                             special=sorted(i for i, t in added.items() if t.special), begin=made.bos_token_id, end=made.eos_token_id))
    with open(OUT, "w") as out:
        json.dump(dict(line=LINE, layouts=rows), out, ensure_ascii=True, separators=(",", ":"))
    print(f"{len(rows)} layouts, {os.path.getsize(OUT)} bytes")


if __name__ == "__main__":
    main()
