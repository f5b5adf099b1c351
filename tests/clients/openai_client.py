"""OpenAI's own Python client, unchanged, against `tessera serve`; then the programs of other_clients.py.

usage: openai_client.py TESSERA REPOSITORY [NODE_MODULES]      (./dev clients runs it; with NODE_MODULES the JavaScript client too)"""
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import openai

import other_clients

TESSERA, ROOT = sys.argv[1], sys.argv[2]
MODELS = ["books-lm", "emoji-nvila", "emoji-infinity"]
APPLE = os.path.join(ROOT, "tests/golden/data/red-apple.png")


class Served:
    def __enter__(self):
        # copies without recipes, which say that a model wants a picture in every conversation
        self.copies = tempfile.TemporaryDirectory()
        for m in MODELS:
            shutil.copytree(os.path.join(ROOT, "models", m), os.path.join(self.copies.name, m), ignore=shutil.ignore_patterns("recipe.toml"))
        words = [TESSERA, "serve", "--port", "0", "--json", "--max-tokens", "16"] + [w for m in MODELS for w in ("-m", os.path.join(self.copies.name, m))]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self.address = json.loads(self.process.stdout.readline())["address"]
        return self

    def __exit__(self, *_):
        self.process.terminate()
        status = self.process.wait(60)
        self.copies.cleanup()
        if status != 0:
            raise RuntimeError(f"the server ended with status {self.process.returncode}")


class OpenAI(unittest.TestCase):
    def setUp(self):
        self.client = openai.OpenAI(base_url=ADDRESS + "/v1", api_key="none", max_retries=0)

    def chat(self, **more):
        return self.client.chat.completions.create(**{"model": "emoji-nvila", "messages": [{"role": "user", "content": "What is this?"}], "temperature": 0,
                                                     "max_completion_tokens": 8, **more})

    def test_models(self):
        self.assertEqual([m.id for m in self.client.models.list()], MODELS)
        self.assertEqual(self.client.models.retrieve("books-lm").id, "books-lm")
        self.assertRaises(openai.NotFoundError, self.client.models.retrieve, "absent")

    def test_chat(self):
        answer = self.chat(logprobs=True, top_logprobs=2)
        self.assertEqual(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)
        said = bytes(b for token in answer.choices[0].logprobs.content for b in token.bytes).decode()
        self.assertEqual(said, answer.choices[0].message.content)

    def test_chat_stream(self):
        chunks = list(self.chat(stream=True, stream_options={"include_usage": True}))
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        self.assertEqual(text, self.chat().choices[0].message.content)
        self.assertEqual([c for c in chunks if c.usage], chunks[-1:])

    def test_chat_with_a_picture(self):
        with open(APPLE, "rb") as file:
            uri = "data:image/png;base64," + base64.b64encode(file.read()).decode()
        answer = self.chat(messages=[{"role": "user", "content": [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": uri}}]}])
        self.assertIn("apple", answer.choices[0].message.content.lower())

    def test_completions(self):
        answer = self.client.completions.create(model="books-lm", prompt=["Once upon", "The sea"], n=2, max_tokens=5, seed=3)
        self.assertEqual(len(answer.choices), 4)
        scored = self.client.completions.create(model="books-lm", prompt="Once upon a time", echo=True, logprobs=1, max_tokens=0)
        self.assertEqual(scored.choices[0].text, "Once upon a time")
        self.assertIsNone(scored.choices[0].logprobs.token_logprobs[0])

    def test_responses(self):
        answer = self.client.responses.create(model="emoji-nvila", input="What is this?", temperature=0, max_output_tokens=8)
        self.assertEqual(answer.output_text, self.chat().choices[0].message.content)
        with self.client.responses.stream(model="emoji-nvila", input="What is this?", temperature=0, max_output_tokens=8) as stream:
            text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
            self.assertEqual(text, answer.output_text)
            self.assertEqual(stream.get_final_response().output_text, answer.output_text)
        with self.assertRaises(openai.BadRequestError):
            self.client.responses.create(model="emoji-nvila", input="x", previous_response_id="resp_1")

    def test_pictures(self):
        drawn = self.client.images.generate(model="emoji-infinity", prompt="red apple", n=2, extra_body={"seed": 1})
        self.assertTrue(all(base64.b64decode(p.b64_json).startswith(b"\x89PNG") for p in drawn.data))
        events = list(self.client.images.generate(model="emoji-infinity", prompt="red apple", stream=True, partial_images=2, extra_body={"seed": 1}))
        self.assertEqual([e.type for e in events], ["image_generation.partial_image"] * 2 + ["image_generation.completed"])
        self.assertEqual(events[-1].b64_json, drawn.data[0].b64_json)
        with open(APPLE, "rb") as file:
            changed = self.client.images.edit(model="emoji-infinity", image=file, prompt="green apple", extra_body={"keep_scales": 3})
        self.assertEqual(len(changed.data), 1)

    def test_mistakes(self):
        for more, words in [({"temperature": 9}, "temperature"), ({"model": "emoji-infinity"}, "it can: draw"), ({"messages": []}, "messages")]:
            with self.assertRaises(openai.BadRequestError) as caught:
                self.chat(**more)
            self.assertIn(words, str(caught.exception))


def javascript(address, modules):
    """OpenAI's JavaScript client; node looks for packages beside the script."""
    script = os.path.join(os.path.dirname(modules), "openai_client.mjs")
    return subprocess.run(["node", script, address], check=False).returncode == 0


if __name__ == "__main__":
    with Served() as served:
        ADDRESS = served.address
        result = unittest.main(argv=[sys.argv[0]], exit=False, verbosity=2).result
        good = result.wasSuccessful() and (len(sys.argv) < 4 or javascript(ADDRESS, sys.argv[3]))
        other_clients.comply(ADDRESS)
        good = other_clients.harness(ADDRESS, TESSERA, ROOT) and good
        good = other_clients.schemathesis(ADDRESS) and good
    sys.exit(not good)
