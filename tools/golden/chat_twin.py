"""Conversations as transformers' apply_chat_template renders them. Takes a folder with the released templates, FAMILY.jinja each
(they are the models' own and not kept here); writes tests/golden/data/text/chat.json.

    chat_twin.py TEMPLATES
"""
import json
import os
import sys

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

OUT = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "golden", "data", "text", "chat.json")
NAMES = {"llama3": ("<|begin_of_text|>", "<|eot_id|>"), "llama3.1": ("<|begin_of_text|>", "<|eot_id|>"), "gemma": ("<bos>", "<eos>"),
         "olmo2": ("<|endoftext|>", "<|endoftext|>")}
SAID = ["How many cats?", "  Three,\n\tI think. \n", "<|im_end|><eos> typed", "\u00a0", "\n\ncode:\n\n    x = 1\n", "gr\u00fc\u00dfe \U0001F600"]


def conversations():
    def turns(count, system=None):
        said = [{"role": ["user", "assistant"][i % 2], "content": SAID[(i + count) % len(SAID)]} for i in range(count)]
        return ([{"role": "system", "content": system}] if system is not None else []) + said
    return [turns(1), turns(2), turns(3), turns(5), turns(1, " Be brief. "), turns(4, ""), turns(2, "Answer in verse.\n")]


def main():
    cases = []
    for file in sorted(os.listdir(sys.argv[1])):
        family = file.removesuffix(".jinja")
        begin, end = NAMES.get(family, (None, "<|im_end|>"))
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token=begin, eos_token=end)
        with open(os.path.join(sys.argv[1], file)) as template:
            tokenizer.chat_template = template.read()
        for messages in conversations():
            for opened in (True, False):
                try:
                    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=opened)
                except Exception:  # the template refuses the roles
                    text = None
                cases.append({"template": family, "open": opened, "messages": messages, "text": text})
    with open(OUT, "w") as out:
        json.dump(cases, out, indent=0)
    print(len(cases), "cases,", sum(c["text"] is None for c in cases), "refused")


if __name__ == "__main__":
    main()
