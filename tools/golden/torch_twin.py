"""Files of torch.save, with the tensors that torch.load reads from them: every type of storage, shared storages, views, a training dump whose
tensors FSDP has marked, parameters, shapes without numbers, and one of the old form."""
import os
from collections import OrderedDict

import torch
from safetensors.torch import save_file

from golden import DATA

HOME = os.path.join(DATA, "torch")
TYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]


def flatten(value, name, found):
    if isinstance(value, torch.Tensor):
        found[name] = value.detach().clone().contiguous()
    elif isinstance(value, dict):
        for key, each in value.items():
            flatten(each, f"{name}.{key}" if name else str(key), found)
    elif isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
        for i, each in enumerate(value):
            flatten(each, f"{name}.{i}", found)
    return found


def save(name, value, **options):
    torch.save(value, os.path.join(HOME, name + ".pth"), **options)
    save_file(flatten(value, "", {}), os.path.join(HOME, name + ".safetensors"))


def main():
    os.makedirs(HOME, exist_ok=True)
    torch.manual_seed(5)
    storage = torch.randn(4, 6)
    views = {"whole": storage, "turned": storage.t(), "part": storage[1:3, 2:5], "row": storage[2], "number": storage[3, 5], "stepped": storage[:, ::2],
             "none": torch.empty(0, 3), "deep": torch.randn(2, 3, 2).permute(2, 0, 1)}
    save("views", OrderedDict(views))
    save("types", {str(t).split(".")[1]: (torch.randn(3, 2) * 50).to(t) for t in TYPES})
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
    save("module", module.state_dict())  # with the _metadata of a module
    marked = OrderedDict((key, value.clone()) for key, value in module.state_dict().items())
    for value in marked.values():
        value._has_been_cloned = True  # as FSDP leaves them: _rebuild_from_type_v2
    save("dump", {"epoch": 3, "iter": 2**40, "lr": 2.5e-4, "name": "run", "ema": False, "nothing": None, "size": torch.Size([2, 3]), "milestones": [1, 70000, -5],
                  "trainer": {"gpt_fsdp": marked, "moments": [torch.ones(2), torch.zeros(1)]}, 7: torch.arange(3),
                  "parameter": torch.nn.Parameter(torch.randn(2, 2))})
    torch.save(module.state_dict(), os.path.join(HOME, "old.pth"), _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main()
