"""A small T5 encoder of transformers with random weights, and the states of a long and a short text, where distances go beyond the largest
that is told apart."""
import torch
from transformers import T5Config, T5EncoderModel

from golden import write_fixture


def main():
    torch.manual_seed(3)
    config = T5Config(vocab_size=64, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, feed_forward_proj="gated-gelu", dropout_rate=0.0)
    model = T5EncoderModel(config).eval()
    for parameter in model.parameters():
        parameter.data = torch.randn_like(parameter) * 0.3 + (1 if parameter.dim() == 1 else 0)
    tensors = {name: value for name, value in model.state_dict().items() if name != "encoder.embed_tokens.weight"}
    for name, length in (("long", 200), ("short", 5)):
        ids = torch.randint(2, 64, (1, length))
        ids[0, -1] = 1
        with torch.no_grad():
            tensors["states." + name] = model(ids).last_hidden_state[0]
        tensors["ids." + name] = ids[0].to(torch.int32)
    write_fixture("t5", tensors, config=config.to_dict())


if __name__ == "__main__":
    main()
