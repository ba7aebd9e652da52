"""Loops of a recording are stored once: the same totals as written out, and a small file."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import fxcost
from fxcost.binding import Program


def totals(recording: fxcost.Recording) -> dict[str, int]:
    found = recording.report().to_dict()["totals"]
    return {name: value for name, value in found.items() if isinstance(value, int) and name not in _OF_THE_FILE}


# The node that stands for a loop is one more; how many values have a shape is counted in the file, not in the run.
_OF_THE_FILE = {"nodes", "values", "recorded_values", "told_dtypes", "told_strides"}
# A loop holds what it was given to its end, and is walked at the sizes of its first trip (docs/memory.md).
_OF_THE_FILE |= {"peak_bytes", "untold_nodes"}


def graphs(recording: fxcost.Recording) -> int:
    return int(recording.program.info().graphs)


def both(action: Callable[[], Any], model: torch.nn.Module | None = None) -> tuple[fxcost.Recording, fxcost.Recording]:
    """The same action recorded with loops stored once, and written out."""
    recordings = []
    for fold in (True, False):
        torch.manual_seed(0)
        with fxcost.record(model, fold=fold) as recording:
            action()
        recordings.append(recording)
    return recordings[0], recordings[1]


def check(action: Callable[[], Any], model: torch.nn.Module | None = None, bodies: int = 1) -> fxcost.Recording:
    folded, flat = both(action, model)
    assert totals(folded) == totals(flat)
    found, exact = (recording.report().to_dict()["totals"] for recording in (folded, flat))
    grows = found["untold_nodes"] > exact["untold_nodes"]
    assert grows or found["peak_bytes"] >= exact["peak_bytes"], "a bound that is too low says so"
    assert graphs(folded) == 1 + bodies
    assert graphs(flat) == 1
    for recording in (folded, flat):
        assert Program.from_bytes(recording.program.text().encode()) == recording.program
    return folded


def test_one_layer_run_eighty_times() -> None:
    layer = torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.GELU(), torch.nn.LayerNorm(16))

    def run() -> torch.Tensor:
        x = torch.ones(4, 16)
        for _ in range(80):
            x = layer(x)
        return x

    recording = check(run, layer)
    assert recording.report().matrix_flops == 80 * 2 * 4 * 16 * 16
    assert recording.report().module("0").matrix_flops == recording.report().matrix_flops
    assert recording.program.info().nodes < 20


def test_growing_cache() -> None:
    """A cache that one row is appended to: the i-th product is with 5 + i rows."""
    weight = torch.randn(8, 8)

    def run() -> None:
        cache = torch.randn(5, 8)
        x = torch.randn(1, 8)
        for _ in range(40):
            x = (x @ weight).relu()
            scores = (x @ cache.t()).softmax(-1)
            x = scores @ cache
            cache = torch.cat([cache, x])

    report = check(run).report()
    assert report.matrix_flops == sum(2 * (8 * 8 + 8 * rows + rows * 8) for rows in range(5, 45))


def test_values_of_every_trip_are_used_later() -> None:
    weight = torch.randn(8, 8)

    def run() -> torch.Tensor:
        x, kept = torch.randn(2, 8), []
        for _ in range(50):
            x = (x @ weight).tanh().mul(2).add(1)
            kept.append(x)
        return torch.stack(kept)

    check(run)


def test_in_place_work_and_batches_of_their_own() -> None:
    state = torch.zeros(4, 4)

    def run() -> None:
        for i in range(30):
            batch = torch.full((4, 4), float(i))
            state.add_(batch).mul_(0.9)
            state[0].add_(batch[1], alpha=i)

    check(run)


def test_kernels_that_code_launches_itself() -> None:
    with fxcost.record() as recording:
        x = torch.ones(8)
        for _ in range(80):
            y = x * 2
            recording._tape.launched("triton.scale", {"x": y, "count": 8})  # as the launcher of Triton tells it
    assert graphs(recording) == 2 and "triton.scale" in recording.report().by_op()


def test_training_steps() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def run() -> None:
        for _ in range(12):
            optimizer.zero_grad()
            model(torch.randn(4, 8)).square().mean().backward()
            optimizer.step()

    with FlopCounterMode(display=False) as counter:
        run()
    recording = check(run, model)
    assert recording.report().matrix_flops == counter.get_total_flops()
    assert recording.report().module("0").matrix_flops == 12 * 2 * (2 * 4 * 8 * 16)  # forward and the weight's gradient


@pytest.mark.parametrize(
    "sizes", [[3, 5, 4, 9, 2, 7] * 6, [2**i for i in range(12)] * 2], ids=["irregular", "doubling"]
)
def test_what_does_not_grow_evenly_is_written_out(sizes: list[int]) -> None:
    def run() -> None:
        for size in sizes:
            x = torch.ones(size, 4)
            for _ in range(2):
                x = (x + 1).mul(2).relu().sub(3).tanh()

    folded, flat = both(run)
    assert totals(folded) == totals(flat)


def test_a_decode_loop_of_a_thousand_steps() -> None:
    """Totals are the sum of the steps, each recorded alone; the file stays small."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_layer=2,
        n_embd=32,
        n_head=2,
        vocab_size=50,
        n_positions=1100,
        bos_token_id=0,
        eos_token_id=None,
        pad_token_id=0,
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    ids = torch.randint(1, 50, (1, 8))
    alone: list[fxcost.Recording] = []
    counted = 0
    forward = model.forward

    @functools.wraps(forward)  # generate() looks at the signature
    def counting_forward(*args: Any, **kwargs: Any) -> Any:
        nonlocal counted
        with FlopCounterMode(display=False) as counter:
            result = forward(*args, **kwargs)
        counted += counter.get_total_flops()
        return result

    @functools.wraps(forward)
    def one_by_one(*args: Any, **kwargs: Any) -> Any:
        with fxcost.record(model) as recording:
            result = forward(*args, **kwargs)
        alone.append(recording)
        return result

    def generate() -> None:
        model.generate(ids, max_new_tokens=1000, do_sample=False)

    with sdpa_kernel(SDPBackend.MATH):
        with fxcost.record(model) as recording:
            generate()
        model.forward = counting_forward
        generate()
        model.forward = one_by_one
        model.generate(ids, max_new_tokens=20, do_sample=False)
    report = recording.report()
    assert len(recording.to_bytes()) < 2_000_000
    assert report.matrix_flops == counted > 0
    assert len(alone) == 20
    # The work of a step of this decoder is linear in the rows of its cache: from two steps recorded alone follow all.
    flops = [step.report().matrix_flops for step in alone]
    step = flops[2] - flops[1]
    assert flops[1:] == [flops[1] + i * step for i in range(19)]
    assert report.matrix_flops == flops[0] + sum(flops[1] + i * step for i in range(999))
