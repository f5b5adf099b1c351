"""The PyTorch side of bench/liquid: one language model over words and codes, and its codec, as ordinary eager programs.

usage: liquid_peer.py MODEL_DIR DTYPE THREADS PICTURES. Answers each line of standard input: "draw" with the seconds that so many pictures took,
from the prompt's ids to pixels; "see" with those of as many `tokens` about a picture, from its pixels on. It keeps a cache, guides in one batch where
there is guidance, and samples as `tessera draw` does."""
import json
import os
import sys
import tempfile
import time

import torch
import torch.nn as nn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lm"))
import codec_peer
import peer

PROMPT = 16  # tokens


class Codec(nn.Module):
    """Codes [N, edge, edge] to pictures in 8 bits and back."""

    def __init__(self, directory):
        super().__init__()
        with open(os.path.join(directory, "config.json")) as file:
            c = json.load(file)
        self.edge = c["picture_size"]
        self.codes = nn.Embedding(c["codes"], c["code_width"])
        self.to_codes, self.from_codes = nn.Conv2d(c["latent_channels"], c["code_width"], 1), nn.Conv2d(c["code_width"], c["latent_channels"], 1)
        shape = c | {"bits": c["latent_channels"], "middle_blocks": 2, "middle_attention": True}
        self.encoder, self.decoder = codec_peer.Encoder(shape), codec_peer.Decoder(shape)
        names = {"quantize.embedding.": "codes.", "post_quant_conv.": "from_codes.", "quant_conv.": "to_codes."}
        kept = {}
        for name, tensor in peer.read_weights(os.path.join(directory, "model.safetensors"), torch.float32).items():
            for old, new in names.items():
                name = new + name.removeprefix(old) if name.startswith(old) else name
            kept[name] = tensor
        self.load_state_dict(kept)

    def forward(self, codes):
        x = self.decoder(self.from_codes(self.codes(codes).permute(0, 3, 1, 2)))
        return ((x.clamp(-1, 1) + 1) * 127.5).to(torch.uint8)

    def encoded(self, pictures):
        z = self.to_codes(self.encoder(pictures)).permute(0, 2, 3, 1).flatten(0, 2)
        e = self.codes.weight
        return (z.square().sum(1, keepdim=True) + e.square().sum(1) - 2 * z @ e.T).argmin(1)


def sampled(logits, drawing, codes):
    logits = logits / max(drawing["temperature"], 1e-5)
    if drawing["top_k"] > 0:
        logits = logits.masked_fill(logits < logits.topk(min(drawing["top_k"], codes)).values[:, -1:], -float("inf"))
    if drawing["top_p"] < 1:
        ordered, order = logits.sort(descending=True)
        past = ordered.softmax(-1).cumsum(-1) > drawing["top_p"]
        past[:, 1:] = past[:, :-1].clone()
        past[:, 0] = False
        logits = logits.masked_fill(past.scatter(1, order, past), -float("inf"))
    return torch.multinomial(logits.softmax(-1), 1)


def draw(model, codec, config, pictures):
    places, drawing = config["pictures"], config["drawing"]
    first, codes, edge = places["first"], places["codes"], places["edge"]
    guided = drawing["cfg"] > 1
    rows = pictures * (1 + guided)
    ids = torch.arange(PROMPT)[None].expand(rows, PROMPT) + 5
    cache = model.cache(PROMPT + edge**2, rows)
    logits, drawn = model.forward(ids, cache, 0), []
    for step in range(edge**2):
        mixed = logits[:, first:first + codes]
        if guided:
            c, u = mixed.chunk(2)
            mixed = u + drawing["cfg"] * (c - u)
        drawn.append(sampled(mixed, drawing, codes))
        if step + 1 < edge**2:
            logits = model.forward((drawn[-1] + first).repeat(1 + guided, 1), cache, PROMPT + step)
    return codec(torch.cat(drawn, 1).view(pictures, edge, edge))


def see(model, codec, config, tokens):
    codes = codec.encoded(torch.rand(1, 3, codec.edge, codec.edge) * 2 - 1) + config["pictures"]["first"]
    ids = torch.cat([codes, torch.arange(PROMPT) + 5])[None]
    cache = model.cache(ids.shape[1] + tokens, 1)
    for step in range(tokens):
        begin = 0 if step == 0 else codes.shape[0] + PROMPT + step - 1
        ids = model.forward(ids, cache, begin)[:, :config["pictures"]["first"]].argmax(-1)[None]


def language_model(directory, config, dtype):
    """bench/lm's peer wants a directory of a language model alone."""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "config.json"), "w") as file:
            json.dump(config["text_config"], file)
        os.symlink(os.path.abspath(os.path.join(directory, "model.safetensors")), os.path.join(folder, "model.safetensors"))
        return peer.Decoder(folder, dtype, torch.device("cpu"))


def main():
    directory, dtype, threads, pictures = sys.argv[1], {"fp32": torch.float32, "bf16": torch.bfloat16}[sys.argv[2]], int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(threads)
    with open(os.path.join(directory, "config.json")) as file:
        config = json.load(file)
    with torch.inference_mode():
        model, codec = language_model(directory, config, dtype), Codec(os.path.join(directory, "codec")).eval()
        for line in sys.stdin:
            request, begin = json.loads(line), time.perf_counter()
            if request["do"] == "draw":
                draw(model, codec, config, pictures)
            else:
                see(model, codec, config, request["tokens"])
            print(json.dumps({"seconds": time.perf_counter() - begin}), flush=True)


if __name__ == "__main__":
    main()
