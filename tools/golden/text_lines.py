"""Lines that tokenizers find hard: many scripts, composed and decomposed, code, emoji, blanks, control tokens, broken bytes.

A function of the seed, of this file and of the Unicode CLDR's annotations (package unicode-cldr-core).
"""
import glob
import random
import unicodedata
import xml.etree.ElementTree as ET

ANNOTATIONS = "/usr/share/unicode/cldr/common/annotations/*.xml"
PROSE = """It was the best of times; it wasn't "the worst" -- I'd say so, and they'LL agree, won't they?
The year 1984 had 366-1 days, 8,760 hours; pi is 3.14159265, one third 0.333..., a googol 1e100.
Don't you've we're I'm he'd she'll it's O'Reilly's ROCK'N'ROLL 'S 'T 'RE 'VE 'M 'LL 'D
Dear Sir/Madam,\n\n\tplease find enclosed the cheque for \u00a31,234.56 (\u20ac1.500,00).\r\n\r\nYours,\r\n  J. Doe
na\u00efve caf\u00e9 \u0153uvre stra\u00dfe \ufb01anc\u00e9 \u017fuch \u212bngstr\u00f6m \u2126 \u1e9e \u01c5
x\u00b2+y\u00b2=z\u00b2 \u00bd\u2153\u2159 \u2160\u2163\u2188 \u2460\u3251 \u0661\u0662\u0663 \u096a\u096b \u0e59 \U0001d7d8\U0001d7d9 \u4e00\u4e8c""".split("\n")
CODE = """#include <vector>\nint main(int argc, char** argv) {\n\tfor (size_t i = 0; i < 10; ++i) std::printf("%zu\\n", i);\n}
    if (a != b && c <= d || !e) { return x->y[z] ? 0xFF : ~1u; }  // why not?
SELECT * FROM "users" WHERE name LIKE '%o''brien%' AND age >= 42;
def f(*args, **kwargs): return {k: v for k, v in kwargs.items() if v is not None}
<a href="https://example.org/?q=1&amp;r=%20#top">x</a><!-- remark --> &nbsp;&#x1F600;
$ grep -rnE '^[[:space:]]*(foo|bar)+$' . | awk '{print $2}' > /dev/null 2>&1
\\begin{equation} \\int_0^\\infty e^{-x^2}\\,dx = \\frac{\\sqrt{\\pi}}{2} \\end{equation}
{"key": [1, 2.5e-3, null, true], "nested": {"a": "\\u00e9"}}
                                                    deep_indent = 1;
~~~~~~ ------ ====== ****** ...... ______ ///// \\\\\\\\ ((((((((((""".split("\n")
EMOJI = ["\U0001F468\u200D\U0001F469\u200D\U0001F467\u200D\U0001F466", "\U0001F44D\U0001F3FD", "\u2764\uFE0F", "\U0001F1E9\U0001F1EA",
         "\U0001F3F4\U000E0067\U000E0062\U000E0073\U000E0063\U000E0074\U000E007F", "1\uFE0F\u20E3", "\U0001F9D1\U0001F3FE\u200D\U0001F4BB"]
BLANKS = [" ", "  ", "   ", "\t", "\n", "\r\n", "\r", "\u00a0", "\u3000", "\u180e", "\u2028", "\u2029", "\u001c", "\u0085",
          "\u200b", "\ufeff", "\v", "\f", "\u1680", "\u202f", "\u205f", "\u2007"]
MARKS = ["\u0301", "\u0327\u0301", "\u0301\u0327", "\u0323\u0307", "q\u0307\u0323", "\u1100\u1161\u11a8", "\uac00\u11a8", "\u0344",
         "\u0958", "\u2adc", "\U0001D15E", "\u0f73", "a\u0315\u0300\u05ae\u0300\u0062", "\u0cc6\u0cc2\u0cd5", "\u30ab\u3099"]
CONTROL = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<image>", "<tool_call>", "</tool_call>", "<|begin_of_text|>",
           "<|eot_id|>", "<|start_header_id|>user<|end_header_id|>", "|||IP_ADDRESS|||", "Zaphod", " Zaphod ", "Zaphods",
           "<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<pad>", "<unk>", "</s>", "<extra_id_0>", " <extra_id_7> ", "<0x41>",
           "<|im_", "start|>", "<mask>", "<|fim_suffix|>", "\u2581", "\u2581\u2581"]
BROKEN = [b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80\x80", b"\xe2\x28\xa1"]
RANGES = [(0x20, 0x7F), (0x80, 0x250), (0x250, 0x600), (0x600, 0x1000), (0x1000, 0x2000), (0x2000, 0x3000), (0x3000, 0xD800),
          (0xE000, 0x10000), (0x10000, 0x18000), (0x1D000, 0x20000), (0x20000, 0x32000), (0xE0000, 0xE0200)]


def annotations():
    """Short names of emoji in all of CLDR's languages, each after its emoji."""
    lines = []
    for path in sorted(glob.glob(ANNOTATIONS)):
        for item in ET.parse(path).getroot().iter("annotation"):
            lines.append(f"{item.get('cp')} {item.text or ''}")
    return lines


def mixed(rng, names):
    """Fragments of every kind in one line, as bytes."""
    line = b""
    for _ in range(rng.randrange(1, 10)):
        kind = rng.randrange(9)
        if kind == 0:
            text = rng.choice(CONTROL)
        elif kind == 1:
            text = "".join(rng.choice(BLANKS) for _ in range(rng.randrange(1, 6)))
        elif kind == 2:
            low, high = rng.choice(RANGES)
            text = "".join(chr(rng.randrange(low, high)) for _ in range(rng.randrange(1, 8)))
        elif kind == 3:
            text = rng.choice(names)[:24]
        elif kind == 4:
            text = rng.choice(PROSE)[:40]
        elif kind == 5:
            text = rng.choice(MARKS) * rng.randrange(1, 3)
        elif kind == 6:
            text = rng.choice(CODE)[:40]
        elif kind == 7:
            text = "".join(rng.choice(EMOJI) for _ in range(rng.randrange(1, 4)))
        else:
            line += rng.choice(BROKEN)
            continue
        line += text.encode()
    return line


def test_lines(seed=1, count=2400):
    rng = random.Random(seed)
    names = annotations()
    rng.shuffle(names)
    lines = [b"", b" ", b"\n", b"\0", b"a\0b"] + [t.encode() for t in PROSE + CODE + EMOJI + BLANKS + MARKS + CONTROL] + BROKEN
    lines += [n.encode() for n in names[: count // 2]]
    lines += [unicodedata.normalize("NFD", n).encode() for n in names[count // 2: count // 2 + count // 8]]
    while len(lines) < count:
        lines.append(mixed(rng, names))
    return lines


def training_lines(seed=2, count=12000):
    """What the small tokenizers learn from: mostly names, with prose and code."""
    rng = random.Random(seed)
    names = annotations()
    rng.shuffle(names)
    english = [n for n in annotations() if n.isascii()]
    return names[:count] + english + (PROSE + CODE) * 20
