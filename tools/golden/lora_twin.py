"""Adapters as the PEFT library makes, saves and applies them, on a small network of four linear layers.

    lora_twin.py             writes tests/golden/data/lora.safetensors and tests/golden/data/peft/
    lora_twin.py --check DIR loads an adapter that the engine wrote (the golden test leaves one) with PEFT and compares

Beside golden.py's requirements this needs `pip install peft`.
"""
import argparse
import os
import shutil

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file

from golden import DATA, write_fixture


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj = torch.nn.Linear(12, 16)
        self.o_proj = torch.nn.Linear(16, 12, bias=False)

    def forward(self, x):
        return x + self.o_proj(torch.tanh(self.q_proj(x)))


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList([Block(), Block()])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def check(directory):
    fixture = load_file(os.path.join(DATA, "lora.safetensors"))
    net = Net()
    net.load_state_dict({k[len("weights."):]: v for k, v in fixture.items() if k.startswith("weights.")})
    config = LoraConfig.from_pretrained(directory)
    config.task_type = None  # Net generates no text
    model = PeftModel.from_pretrained(net, directory, config=config)
    difference = (model(fixture["x"]) - fixture["y"]).abs().max().item()
    print(f"{directory}: PEFT's outputs differ by at most {difference:.2e}")
    assert difference < 1e-5


def main():
    torch.manual_seed(4)
    net = Net()
    weights = {f"weights.{k}": v.detach().clone() for k, v in net.state_dict().items()}
    config = LoraConfig(r=3, lora_alpha=5, target_modules=["q_proj", "o_proj"], rank_pattern={"layers.1.o_proj": 2},
                        alpha_pattern={"layers.0.q_proj": 7})
    model = get_peft_model(net, config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    x = torch.randn(2, 5, 12)
    y = model(x)
    y.square().sum().backward()
    gradients = {"gradients." + n.replace("base_model.model.", "").replace(".default", "").replace("lora_", "lora.lora_"): p.grad
                 for n, p in model.named_parameters() if p.requires_grad}
    merged = model.merge_and_unload()
    with torch.no_grad():
        assert (merged(x) - y).abs().max() < 1e-5
    write_fixture("lora", {**weights, **gradients, "x": x, "y": y})
    # saved before merging changed the base: made again from the same numbers
    torch.manual_seed(4)
    model = get_peft_model(Net(), config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    directory = os.path.join(DATA, "peft")
    shutil.rmtree(directory, ignore_errors=True)
    model.save_pretrained(directory)
    os.remove(os.path.join(directory, "README.md"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--check")
    parser.add_argument("--counts", action="store_true", help="nothing to count")
    arguments = parser.parse_args()
    if arguments.check:
        check(arguments.check)
    elif not arguments.counts:
        main()
