#!/usr/bin/env python3
"""A task whose answers a program can check: "Write a question that begins with "What" and has the word "sea" in it."

    python3 tools/studies/obey.py make --books DIR -o DIR [--seeds 200] [--ratings 1000] [--many 50000] ...
    python3 tools/studies/obey.py check                    a rule of reward for `tessera train`, objective grpo (loss.reward.program)
    python3 tools/studies/obey.py score FILE               share of the answers in FILE that obey: strict, lenient, by wish

An instruction has one to three wishes. strict: one whole sentence that heeds all of them. lenient: the share of wishes heeded.
make writes seeds.jsonl, many.jsonl, test.jsonl and pool.jsonl (conversations), ratings.jsonl (answers of every quality with marks of 0 to 10 by a
rater who errs by a mark or so), ratings-test.jsonl (marks without error) and worksheets/ (what the base reads beside books: exercises, few of them
with answers). No sentence is in two of them.
"""
import argparse
import collections
import json
import pathlib
import random
import re
import sys

OPENERS = "The He She It I But And There When In At They You His What We A No So Then Who How Why My Her This That For On".split()
ABBREVIATIONS = "Mr Mrs Dr St Esq Messrs Capt Col Gen Sir".split()
WORD = re.compile(r"[A-Za-z'’]+")
WISHES = {  # wish -> how it is said; {} is the word
    "begins": ['begins with "{}"', 'starts with the word "{}"', 'has "{}" as its first word'],
    "has": ['has the word "{}" in it', 'uses the word "{}"', 'contains "{}"'],
    "asks": ["ends with a question mark", "is a question", "asks something"],
    "cries": ["ends with an exclamation mark", "is an exclamation", "cries out"],
    "short": ["has at most six words", "is six words or fewer", "is very short"],
    "long": ["has at least twelve words", "is twelve words or more", "is very long"],
}
OPENINGS = ["Write a sentence that", "Give me a sentence that", "I want a sentence that"]


def words(text):
    return WORD.findall(text)


def heeds(wish, word, answer):
    """Whether an answer heeds one wish."""
    said, end = words(answer), answer.rstrip()[-1:]
    return {"begins": bool(said) and said[0].lower() == (word or "").lower(), "has": (word or "").lower() in [one.lower() for one in said],
            "asks": end == "?", "cries": end == "!", "short": 0 < len(said) <= 6, "long": len(said) >= 12}[wish]


def whole(answer):
    """One sentence: a capital first, one mark at the end and none before it, no word three times in a row."""
    text = answer.strip()
    said = [one.lower() for one in words(text)]
    return (len(said) >= 2 and text[:1].isupper() and re.fullmatch(r"[^.!?\n]+[.!?]", text) is not None
            and not any(a == b == c for a, b, c in zip(said, said[1:], said[2:])))


def wishes_of(instruction):
    """The wishes that an instruction states, as (wish, word)."""
    found = []
    for wish, forms in WISHES.items():
        for form in forms:
            pattern = re.escape(form).replace(r"\{\}", r"([A-Za-z'’]+)")
            if match := re.search(pattern + r"(?=[.,]| and |$)", instruction):
                found.append((wish, match.group(1) if match.groups() else None))
                break
    return found


def grade(instruction, answer):
    """(strict, lenient, heeded by wish) of an answer."""
    wishes = wishes_of(instruction)
    heeded = {wish: heeds(wish, word, answer) for wish, word in wishes}
    lenient = sum(heeded.values()) / len(wishes) if wishes else 0.0
    return float(bool(wishes) and lenient == 1 and whole(answer)), lenient, heeded


def sentences(folder):
    """Plain sentences of 3 to 18 words of all books, each once."""
    found = {}
    for book in sorted(pathlib.Path(folder).glob("*.txt")):
        text = " ".join(book.read_text(encoding="utf-8").split())
        for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z“])", text):
            if 3 <= len(words(sentence)) <= 18 and re.fullmatch(r"[A-Z][A-Za-z,;' ’]+[.!?]", sentence) and whole(sentence) and words(sentence)[-1] not in ABBREVIATIONS:
                found[sentence] = True
    return list(found)


class Task:
    """Draws instructions for sentences: `common` are the words that may be asked for."""

    def __init__(self, folder, seed):
        self.draw = random.Random(seed)
        self.sentences = sentences(folder)
        counts = collections.Counter(one.lower() for sentence in self.sentences for one in words(sentence))
        self.common = {word for word, _ in counts.most_common(1200)[80:] if len(word) > 3}
        self.draw.shuffle(self.sentences)

    def possible(self, sentence):
        """Every wish that a sentence heeds."""
        said = words(sentence)
        wishes = [("asks", None)] * sentence.endswith("?") + [("cries", None)] * sentence.endswith("!")
        wishes += [("short", None)] * (len(said) <= 6) + [("long", None)] * (len(said) >= 12)
        wishes += [("begins", said[0])] * (said[0] in OPENERS)
        asked = [one for one in said[1:] if one in self.common]
        return wishes + ([("has", self.draw.choice(asked))] if asked else [])

    def instruction(self, wishes):
        said = [self.draw.choice(WISHES[wish]).format(word or "") for wish, word in wishes]
        return f"{self.draw.choice(OPENINGS)} {', '.join(said[:-1])}{' and ' if len(said) > 1 else ''}{said[-1]}."

    def pairs(self, count):
        """`count` instructions, each with a sentence that heeds it; sentences are used up."""
        made = []
        while len(made) < count:
            if not self.sentences:
                raise SystemExit("[obey] the books have too few sentences for what is asked; want more books or fewer rows")
            sentence = self.sentences.pop()
            wishes = self.possible(sentence)
            if not wishes or (len(wishes) == 1 and self.draw.random() < 0.5):
                continue
            self.draw.shuffle(wishes)
            made.append((self.instruction(wishes[: self.draw.choice((1, 2, 2, 3))]), sentence))
        return made

    def worse(self, sentence):
        """What a weak writer gives: cut off, a phrase said again and again, another sentence, two of them."""
        said = sentence.split()
        return self.draw.choice([
            lambda: " ".join(said[: max(1, len(said) // 2)]),
            lambda: " ".join(said[:3] * 4),
            lambda: self.draw.choice(self.sentences),
            lambda: self.draw.choice(self.sentences),
            lambda: sentence + " " + self.draw.choice(self.sentences),
        ])()

    def ratings(self, count, noise):
        """Four answers to each instruction, with a rater's marks: 10 for all wishes in one whole sentence, less otherwise; `noise` is how
        many marks a rater is off by."""
        rows = []
        for instruction, sentence in self.pairs(count // 4):
            for answer in (sentence if self.draw.random() < 0.5 else self.worse(sentence), *(self.worse(sentence) for _ in range(3))):
                _, lenient, _ = grade(instruction, answer)
                mark = round((10 if whole(answer) else 6) * lenient + self.draw.gauss(0, noise))
                rows.append({"prompt": instruction, "response": answer, "score": min(10, max(0, mark))})
        return rows

    def worksheet(self):
        """What a base has read: lists of exercises, and some with answers of which half are beside the point."""
        title = self.draw.choice(["Exercises", "Homework for Friday", "Tasks", "To be written in the copy-book", "A list of tasks"])
        if self.draw.random() < 0.7:
            lines = [f"{i + 1}. {instruction}" for i, (instruction, _) in enumerate(self.pairs(self.draw.randrange(5, 10)))]
            return f"{title}\n\n" + "\n".join(lines)
        answered = [(instruction, sentence if self.draw.random() < 0.5 else self.draw.choice(self.sentences)) for instruction, sentence in self.pairs(4)]
        return f"{title}\n\n" + "\n\n".join(f"{instruction}\n{answer}" for instruction, answer in answered)


def conversation(instruction, sentence):
    return {"messages": [{"role": "user", "content": instruction}, {"role": "assistant", "content": sentence}]}


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    print(f"{path}: {len(rows)} rows")


def make(options):
    out = pathlib.Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    task = Task(options.books, options.seed)
    print(f"{len(task.sentences)} sentences, {len(task.common)} words that are asked for")
    for name, count in (("test", options.test), ("pool", options.pool), ("seeds", options.seeds), ("many", options.many)):
        write_rows(out / f"{name}.jsonl", [conversation(*pair) for pair in task.pairs(count)])
    write_rows(out / "ratings.jsonl", task.ratings(options.ratings, 1))
    write_rows(out / "ratings-test.jsonl", task.ratings(options.test, 0))
    sheets = out / "worksheets"
    sheets.mkdir(exist_ok=True)
    (sheets / "worksheets.txt").write_text("\n\n\n".join(task.worksheet() for _ in range(options.worksheets)) + "\n", encoding="utf-8")
    print(f"{sheets}: {options.worksheets} worksheets")


def check():
    """Half the mark for wishes heeded, half for all of them in one whole sentence: with the second alone most groups are worth the same."""
    for line in sys.stdin:
        row = json.loads(line)
        strict, lenient, _ = grade(row["prompt"], row["answer"])
        print((strict + lenient) / 2)


def summary(rows):
    """strict, lenient and shares by wish over rows of {"prompt", "answer"}."""
    grades = [grade(row["prompt"], row["answer"]) for row in rows]
    by = collections.defaultdict(list)
    for _, _, heeded in grades:
        for wish, kept in heeded.items():
            by[wish].append(kept)
    return {"answers": len(rows), "strict": sum(g[0] for g in grades) / len(rows), "lenient": sum(g[1] for g in grades) / len(rows),
            "whole": sum(whole(row["answer"]) for row in rows) / len(rows), **{wish: sum(kept) / len(kept) for wish, kept in sorted(by.items())}}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    making = verbs.add_parser("make")
    making.add_argument("--books", required=True)
    making.add_argument("-o", "--out", required=True)
    for name, count in (("seeds", 200), ("ratings", 1000), ("many", 50000), ("test", 400), ("pool", 4000), ("worksheets", 5000), ("seed", 1)):
        making.add_argument(f"--{name}", type=int, default=count)
    verbs.add_parser("check")
    verbs.add_parser("score").add_argument("file")
    options = parser.parse_args()
    if options.verb == "make":
        make(options)
    elif options.verb == "check":
        check()
    else:
        print(json.dumps(summary([json.loads(line) for line in open(options.file, encoding="utf-8")])))


if __name__ == "__main__":
    main()
