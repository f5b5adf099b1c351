"""Twin of the byte text encoder: UTF-8 bytes and an end token through a small bidirectional pre-norm transformer."""
import torch
import torch.nn.functional as F

END = 256


def byte_tokens(text, limit):
    """Token ids of a text: its bytes and the end token, at most `limit` together, cut before a character."""
    data = text.encode()
    kept = data[:limit - 1].decode(errors="ignore").encode() if len(data) > limit - 1 else data
    return torch.tensor(list(kept) + [END])


def shapes(prefix, c, limit):
    width, hidden = c.width, c.hidden

    def linear(name, i, o):
        return [(f"{name}.weight", (o, i)), (f"{name}.bias", (o,))]

    def norm(name):
        return [(f"{name}.weight", (width,)), (f"{name}.bias", (width,))]

    out = [(f"{prefix}.embedding", (END + 1, width)), (f"{prefix}.position", (limit, width))]
    for i in range(c.depth):
        block = f"{prefix}.blocks.{i}"
        out += (norm(f"{block}.norm1") + linear(f"{block}.attention.qkv", width, 3 * width)
                + linear(f"{block}.attention.proj", width, width) + norm(f"{block}.norm2")
                + linear(f"{block}.feed_forward.fc1", width, hidden) + linear(f"{block}.feed_forward.fc2", hidden, width))
    return out + norm(f"{prefix}.norm")


def encode(w, ids, depth, heads):
    """States [n, width] of one text, alone and unpadded."""
    def linear(name, x):
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    def norm(name, x):
        return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], 1e-6)

    x = w["embedding"][ids] + w["position"][:len(ids)]
    for i in range(depth):
        block = f"blocks.{i}"
        q, k, v = (part.unflatten(-1, (heads, -1)).transpose(0, 1)
                   for part in linear(f"{block}.attention.qkv", norm(f"{block}.norm1", x)).chunk(3, -1))
        mixed = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1) @ v  # [H, n, width / H]
        x = x + linear(f"{block}.attention.proj", mixed.transpose(0, 1).flatten(-2))
        hidden = F.gelu(linear(f"{block}.feed_forward.fc1", norm(f"{block}.norm2", x)), approximate="tanh")
        x = x + linear(f"{block}.feed_forward.fc2", hidden)
    return norm("norm", x)
