"""What recording costs beside the run itself, in a process of its own.

bench/recording_times.py MODEL ROUNDS, for bench/checks/recording.py, prints JSON: the processor's seconds of each way
to final totals, in each round: the forward pass alone, under FlopCounterMode, under fxcost.record, the same with the
whole program and its report, on fake tensors made from the model for the purpose, and fxcost's torch.export route.
Every round begins with another way, so that none always runs after the same.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from models import MODELS
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

import fxcost
from fxcost.models import load
from fxcost.options import Options

LLAMA = "llama-8b-without-weights"
_LLAMA_8B = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
}


def measure(
    model: torch.nn.Module, kwargs: dict[str, Any], mode: FakeTensorMode | None, rounds: int
) -> dict[str, list[float]]:
    def forward() -> None:
        with mode or contextlib.nullcontext():
            model(**kwargs)

    def counted() -> None:
        with FlopCounterMode(display=False) as counter:
            forward()
        counter.get_total_flops()

    def recorded() -> None:
        with fxcost.record(model) as made:
            forward()
        _ = made.totals.flops

    def reported() -> None:
        with fxcost.record(model) as made:
            forward()
        _ = made.report().flops

    def on_fakes() -> None:
        _ = fxcost.analyze(model, (), kwargs, route="record").flops

    def exported() -> None:
        _ = fxcost.analyze(model, (), kwargs, route="export").flops

    actions: dict[str, Callable[[], None]] = {
        "forward": forward,
        "FlopCounterMode": counted,
        "record": recorded,
        "record with its report": reported,
        "record on fake tensors": on_fakes,
        "export": exported,
    }
    times: dict[str, list[float]] = {what: [] for what in actions}
    with torch.no_grad():
        for number in range(1 + rounds):
            ways = [*actions][number % len(actions) :] + [*actions][: number % len(actions)]
            for what in ways:
                gc.collect()  # what the way before has left is not this one's work
                start = time.process_time()
                actions[what]()
                times[what].append(time.process_time() - start)
    return {what: found[1:] for what, found in times.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=[*MODELS, LLAMA])
    parser.add_argument("rounds", type=int)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    mode = None
    if arguments.model == LLAMA:
        llama = load("hf:llama", Options(seq=2048, dtype="bf16", settings=dict(_LLAMA_8B)))
        model, kwargs, mode = llama.module, llama.kwargs, llama.mode
    else:
        model, kwargs = MODELS[arguments.model]()
    print(json.dumps(measure(model.eval(), kwargs, mode, arguments.rounds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
