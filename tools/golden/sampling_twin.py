"""What transformers' logits processors leave of random logits: repetition penalty, temperature, top-k, top-p, min-p, in the order in which
its generate() applies them. Written to tests/golden/data/sampling.safetensors."""
import sys

import torch
from transformers import (MinPLogitsWarper, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper)

from golden import write_fixture

CASES, VOCABULARY = 96, 200


def choice(generator, values):
    return values[torch.randint(len(values), (1,), generator=generator).item()]


def main():
    generator = torch.Generator().manual_seed(11)
    logits = torch.randn(CASES, VOCABULARY, generator=generator) * torch.rand(CASES, 1, generator=generator) * 6
    seen = torch.randint(VOCABULARY, (CASES, 12), generator=generator)
    settings, expected = [], []
    for case in range(CASES):
        penalty = choice(generator, [1.0, 1.0, 1.2, 0.7, 2.0])
        temperature = choice(generator, [1.0, 0.3, 0.7, 1.5, 4.0])
        top_k = choice(generator, [0, 0, 1, 5, 40, 500])
        top_p = choice(generator, [1.0, 1.0, 0.95, 0.5, 0.1])
        min_p = choice(generator, [0.0, 0.0, 0.05, 0.3, 1.0])
        processors = []
        if penalty != 1:
            processors.append(RepetitionPenaltyLogitsProcessor(penalty))
        processors.append(TemperatureLogitsWarper(temperature))
        if top_k > 0:
            processors.append(TopKLogitsWarper(top_k))
        if top_p < 1:
            processors.append(TopPLogitsWarper(top_p))
        if min_p > 0:
            processors.append(MinPLogitsWarper(min_p))
        scores = logits[case:case + 1].clone()
        for processor in processors:
            scores = processor(seen[case:case + 1], scores)
        settings.append([penalty, temperature, top_k, top_p, min_p])
        expected.append(scores.double().softmax(-1)[0].float())
    if "--counts" in sys.argv:
        print(f"sampling: {CASES} cases, {sum((e > 0).sum().item() for e in expected)} candidates")
        return
    write_fixture("sampling", {"logits": logits, "seen": seen, "settings": torch.tensor(settings, dtype=torch.float64),
                               "probabilities": torch.stack(expected)})


if __name__ == "__main__":
    main()
