"""Small tokenizers with the pipelines of the released families, and the reference libraries' ids of difficult lines.

Writes tests/golden/data/text: lines.bin (each line after its length, 32 bits), and for each family a folder with its files
and ids.txt: for each line a hash of its ids with control tokens found and begin tokens added, and one of its ids as typed text.
Qwen2, Llama 3, OLMo 2 and GPT-2 pipelines by `tokenizers`; Gemma and T5 by `sentencepiece`, between added tokens.
"""
import io
import json
import os
import re
import shutil
import struct

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from text_lines import test_lines, training_lines

OUT = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "golden", "data", "text")
VOCABULARY, PIECES = 2000, 4000
WORDS = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def special(text, **flags):
    return AddedToken(text, special=True, normalized=False, **flags)


def byte_level(family, lines):
    tokenizer = Tokenizer(models.BPE(ignore_merges=family == "llama3"))
    if family == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    if family == "gpt2":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    else:
        words = WORDS % (r"\p{N}" if family == "qwen2" else r"\p{N}{1,3}")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(words), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=VOCABULARY, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    if family == "qwen2":
        tokenizer.add_special_tokens([special(t) for t in ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>"]])
        tokenizer.add_tokens([AddedToken(t, normalized=False) for t in ["<tool_call>", "</tool_call>"]])
    elif family == "llama3":
        tokenizer.add_special_tokens([special(t) for t in ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>",
                                                           "<|end_header_id|>", "<|eot_id|>"]])
        begin = ("<|begin_of_text|>", tokenizer.token_to_id("<|begin_of_text|>"))
        tokenizer.post_processor = processors.Sequence(
            [processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
                single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1", special_tokens=[begin])])
    elif family == "olmo2":
        tokenizer.add_special_tokens([special(t) for t in ["<|endoftext|>", "<|fim_suffix|>", "|||IP_ADDRESS|||"]])
        tokenizer.add_tokens([AddedToken("Zaphod", single_word=True), AddedToken("   ", normalized=False)])
    else:
        tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=True), special("<mask>", lstrip=True)])
        tokenizer.add_tokens([AddedToken("<pad>", normalized=False, lstrip=True, rstrip=True)])
    return tokenizer


class ByteLevelReference:
    def __init__(self, family, lines, folder):
        self.tokenizer = byte_level(family, lines)
        with open(os.path.join(folder, "tokenizer.json"), "w") as file:
            json.dump(json.loads(self.tokenizer.to_str()), file, ensure_ascii=False, separators=(",", ":"))

    def ids(self, line, typed):
        self.tokenizer.encode_special_tokens = typed
        return self.tokenizer.encode(line, add_special_tokens=not typed).ids


class SentencePieceReference:
    """sentencepiece on the text between added tokens; a begin or an end token around it."""

    def __init__(self, family, lines, folder):
        gemma = family == "gemma"
        prefix = os.path.join(folder, "tokenizer" if gemma else "spiece")
        turns = ["<start_of_turn>", "<end_of_turn>"]
        written = io.BytesIO()  # a file's path would be kept in the model
        common = dict(sentence_iterator=iter(lines), model_writer=written, vocab_size=PIECES, minloglevel=2, num_threads=1)
        if gemma:
            blanks = ["\n" * n for n in range(2, 5)] + ["\u2581" * n for n in range(2, 16)]
            sentencepiece.SentencePieceTrainer.Train(
                model_type="bpe", byte_fallback=True, split_digits=True, add_dummy_prefix=False, remove_extra_whitespaces=False,
                normalization_rule_name="identity", allow_whitespace_only_pieces=True, character_coverage=0.98, pad_id=0, eos_id=1,
                bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>", unk_piece="<unk>",
                user_defined_symbols=["<mask>"] + turns + blanks, **common)
        else:
            sentencepiece.SentencePieceTrainer.Train(
                model_type="unigram", character_coverage=0.98, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, pad_piece="<pad>", **common)
        with open(prefix + ".model", "wb") as file:
            file.write(written.getvalue())
        self.model = sentencepiece.SentencePieceProcessor(model_file=prefix + ".model")
        size = self.model.get_piece_size()
        names = ["<pad>", "<eos>", "<bos>", "<unk>"] + turns if gemma else ["<pad>", "</s>", "<unk>"]
        self.added = {name: self.model.piece_to_id(name) for name in names}
        config = {"tokenizer_class": "GemmaTokenizer" if gemma else "T5Tokenizer", "pad_token": "<pad>", "unk_token": "<unk>",
                  "eos_token": "<eos>" if gemma else "</s>"}
        if gemma:
            config.update(bos_token="<bos>", add_bos_token=True, add_eos_token=False, added_tokens_decoder={
                str(i): dict(content=name, special=True, normalized=False) for name, i in self.added.items()})
        else:
            self.added.update({f"<extra_id_{99 - i}>": size + i for i in range(100)})
        with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
            json.dump(config, file)
        self.before, self.after = ([2], []) if gemma else ([], [1])
        self.pattern = re.compile("(" + "|".join(re.escape(t) for t in sorted(self.added, key=len, reverse=True)) + ")")
        self.turns = turns if gemma else []

    def ids(self, line, typed):
        if not self.turns and re.search(r"([^\w\s])\1{4,}", line):
            return None  # splits of a run that are equally good: rounding decides, and releases of the library differ
        if typed:  # a turn typed by a user has no reference: the engine takes it apart
            return None if any(t in line for t in self.turns) else self.model.encode(line)
        found = [[self.added[part]] if part in self.added else self.model.encode(part) for part in self.pattern.split(line) if part]
        return self.before + sum(found, []) + self.after


def fnv(ids):
    """FNV-1a over little-endian 32-bit ids."""
    value = 0xCBF29CE484222325
    for byte in struct.pack(f"<{len(ids)}i", *ids):
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def main():
    lines = test_lines()
    os.makedirs(OUT, exist_ok=True)
    with open(os.path.join(OUT, "lines.bin"), "wb") as file:
        for line in lines:
            file.write(struct.pack("<I", len(line)) + line)
    learn_from = training_lines()
    for family in ["qwen2", "llama3", "olmo2", "gpt2", "gemma", "t5"]:
        folder = os.path.join(OUT, family)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        make = SentencePieceReference if family in ("gemma", "t5") else ByteLevelReference
        reference = make(family, learn_from, folder)
        with open(os.path.join(folder, "ids.txt"), "w") as file:
            for line in lines:
                text = line.decode(errors="replace")
                hashes = [reference.ids(text, typed) for typed in (False, True)]
                file.write(" ".join("-" if ids is None else fnv(ids) for ids in hashes) + "\n")
    sizes = [os.path.getsize(os.path.join(r, f)) for r, _, files in os.walk(OUT) for f in files]
    assert max(sizes) < 1_000_000, sizes
    print(f"{len(lines)} lines, {len(sizes)} files, {sum(sizes)} bytes, the largest {max(sizes)}")


if __name__ == "__main__":
    main()
