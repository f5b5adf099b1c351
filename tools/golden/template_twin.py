"""Public chat templates as transformers renders them. Takes a folder with templates, NAME.jinja each, and writes the renderings of every one with
every conversation: by default to tests/golden/data/text/templates.json, from the templates that are kept there already. A rendering is kept as its
64-bit FNV-1a, to stay small; --texts keeps the words.

    template_twin.py [--templates FOLDER] [--texts] [OUT]
"""
import argparse
import datetime
import json
import os

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

OUT = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "golden", "data", "text", "templates.json")
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


class Noon(datetime.datetime):
    """A day that does not pass; noon, so that the date is the same in most time zones."""

    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26, 12, 0, 0)


def tools():
    weather = {"type": "function", "function": {
        "name": "get_weather", "description": "The weather of a <place>, in \"plain\" words & numbers.",
        "parameters": {"type": "object", "properties": {
            "city": {"type": "string", "description": "city, e.g. K\u00f6ln"},
            "days": {"type": "integer", "description": "how many days", "default": 1},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}}, "required": ["city"]},
        "return": {"type": "string", "description": "the weather"}}}
    search = {"type": "function", "function": {
        "name": "search", "description": "Looks words up.",
        "parameters": {"type": "object", "properties": {
            "words": {"type": "array", "items": {"type": "string"}, "description": "what to look for"},
            "filter": {"type": "object", "properties": {"year": {"type": "number", "minimum": 1.5}}}}, "required": []}}}
    return [weather, search]


def call(name, arguments, number=0):
    return {"id": f"call{number:05d}", "type": "function", "function": {"name": name, "arguments": arguments}}


def conversations():
    """(messages, tools, arguments) of each case."""
    said = lambda role, content, **more: {"role": role, "content": content, **more}
    user, assistant, system = (lambda c, **m: said("user", c, **m)), (lambda c, **m: said("assistant", c, **m)), (lambda c: said("system", c))
    asked = [user("Weather in K\u00f6ln?"), assistant("", tool_calls=[call("get_weather", {"city": "K\u00f6ln", "days": 2})])]
    answered = asked + [said("tool", '{"sky": "grey", "t": [11.5, -2]}', name="get_weather", tool_call_id="call00000")]
    return [
        ([user("How many cats?")], None, {}),
        ([system("Be brief."), user("How many cats?"), assistant("Three."), user("Sure?")], None, {}),
        ([user("  spaces and\nlines \n\n"), assistant("\n Three,\tI think. \n"), user("\u00a0odd blanks\u2003")], None, {}),
        ([user("a"), assistant("b"), user("c"), assistant("d"), user("e"), assistant("f")], None, {}),
        ([user("{{ 1 + 1 }} {% if x %} {# no #} <|im_end|></s>[INST]<end_of_turn>"), assistant("{% endfor %}<|eot_id|>")], None, {}),
        ([user("gr\u00fc\u00dfe \U0001F600 \u4f60\u597d"), assistant("\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35"), user("\u2028'\"\\n")], None, {}),
        ([system(""), user(""), assistant(""), user("still there?")], None, {}),
        ([user("Weather in K\u00f6ln?")], tools(), {}),
        ([system("Use tools.")] + answered, tools(), {}),
        (answered + [assistant("Grey, 11.5 degrees."), user("And \"tomorrow\"?")], tools(), {}),
        ([user("two at once"), assistant("Both:", tool_calls=[call("search", {"words": ["a", "b's"], "filter": {"year": 2000.0}}),
                                                             call("get_weather", {"city": "Oslo"}, 1)]),
          said("tool", "found", name="search", tool_call_id="call00000"),
          said("tool", "snow", name="get_weather", tool_call_id="call00001")], tools(), {}),
        ([user("think"), assistant("<think>\nhm, 2\n</think>\n\nTwo."), user("again"), assistant("Two.", reasoning_content="the same")],
         None, {}),
        ([user("no thinking")], None, {"enable_thinking": False, "date_string": "1 Jan 2025", "custom": [1, {"a": None}]}),
        ([system("  s "), user("x"), user("y"), assistant("z"), assistant("w")], None, {"enable_thinking": True}),
    ]


# beside the lines of template_lines.txt: what a line cannot hold
SNIPPETS = [
    "  {% if true %}\n    x\n  {% endif %}\n  y\n  {%- if true %}\n  z\n  {%- endif -%}\n  w\n",
    "{% if true -%}\n   b\n{%- endif %}\n\nc\n\t{%+ if true %}d{% endif +%}\n\ne\n\n",
    "{{ \"multi\nline\" }}|{{ 'tab\tx' }}\r\nx\ry\n", "a\n", "a\n\n", "\n{# c #}\n{# d -#}\n\n e", "{#- c #}\n {{- 1 }}\n", " \t{% set x = 1 %}\n\n{{ x }}",
    "x {%- raw %}\n {{ a }}\n{% endraw %}\n  {% raw -%}  b {%- endraw -%}\n c", "a\u00a0\u2003{%- if 1 %}b{% endif %}\u2028{{- 2 -}}\u3000c",
    "{% for a in [1, 2] %}\n  {% if a == 1 %}\n one\n  {%- else %}\n two\n  {% endif %}\n{% endfor %}\nend", "{%if 1%}a{%endif%}{%-set x=2-%} {{x}}",
    "{{ '{{' }}{{ '%}' }}{{ \"}}\" }}{{ {'a': {'b': 1}} }}", "{% if x is defined\n   and x %}a{% else %}b{% endif %}", "{", "{ {", "%}", "}}", "{% if %}", "{{ }}",
    "{{ 1", "{% if 1 %}", "{% endif %}", "{% for a in b %}{% endif %}", "{# x", "{% raw %}a", "{{ 'a }}", "{{ 1 | nofilter }}", "{% if false %}{{ 1 | nofilter }}{% endif %}ok",
    "{{ (1 }}", "{{ 1) }}", "{{ a b }}", "{% set true = 1 %}", "{% break %}", "{{ 5 is string is number }}", "{{ f(a=1, 2) }}", "{% macro m(a=1, b) %}{% endmacro %}",
]


def snippet_texts():
    """(source, text or None) of single expressions and statements, by the environment that transformers makes."""
    with open(os.path.join(os.path.dirname(__file__), "template_lines.txt"), newline="") as lines:
        sources = lines.read().rstrip("\n").split("\n") + SNIPPETS
    messages = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "wor'ld"}]
    for source in sources:
        try:
            text = chat_template_utils._compile_jinja_template(source).render(messages=messages, tools=None, documents=None,
                                                                              add_generation_prompt=True, **TOKENS)
        except Exception:  # no template, or one that fails
            text = None
        yield source, text


def fnv(text):
    if text is None:
        return None
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 & (1 << 64) - 1
    return f"{value:016x}"


def rendering(tokenizer, case, opened):
    messages, given, arguments = case
    try:
        return tokenizer.apply_chat_template(json.loads(json.dumps(messages)), tools=given, tokenize=False, add_generation_prompt=opened,
                                             **arguments)
    except Exception:  # the template refuses the conversation
        return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--templates")
    parser.add_argument("--texts", action="store_true")
    parser.add_argument("out", nargs="?", default=OUT)
    options = parser.parse_args()
    if options.templates:
        sources = {}
        for file in sorted(os.listdir(options.templates)):
            if file.endswith(".jinja"):
                with open(os.path.join(options.templates, file), newline="") as text:
                    sources[file.removesuffix(".jinja")] = text.read()
    else:
        with open(OUT, newline="") as kept:
            sources = {name: one["source"] for name, one in json.load(kept)["templates"].items()}
    chat_template_utils.datetime = Noon
    cases, templates, refused = conversations(), {}, 0
    for name, source in sources.items():
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), **TOKENS)
        tokenizer.chat_template = source
        texts = [rendering(tokenizer, case, opened) for case in cases for opened in (True, False)]
        refused += sum(text is None for text in texts)
        templates[name] = {"source": source, "texts": texts if options.texts else [fnv(text) for text in texts]}
    tree = {"tokens": TOKENS, "now": int(datetime.datetime(2024, 7, 26, 12, tzinfo=datetime.timezone.utc).timestamp()),
            "cases": [{"messages": m, "tools": t, "arguments": a} for m, t, a in cases], "templates": templates,
            "snippets": list(snippet_texts())}
    with open(options.out, "w", newline="") as out:
        json.dump(tree, out, indent=0)
    print(len(templates), "templates,", len(templates) * len(cases) * 2, "renderings,", refused, "refused,", os.path.getsize(options.out), "bytes")


if __name__ == "__main__":
    main()
