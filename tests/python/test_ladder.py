"""Routes: torch.export, else what the model runs. Every odd model has an answer, and nothing of a model changes."""

from __future__ import annotations

import copy
import json
import random
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import odd_models
import pytest
import torch
from conftest import Run
from torch.utils.flop_counter import FlopCounterMode

import fxcost
from fxcost.ladder import capture_any

HERE = Path(__file__).resolve().parent
# Matrix FLOPs by hand: 2 * rows * in * out.
ODD = {
    "branch": 2 * 3 * 4 * 8,
    "loop": 3 * 2 * 3 * 4 * 4,
    "item": 2 * 2 * 4 * 4,
    "hook": 2 * 3 * 4 * 4 + 2 * 3 * 4 * 2,
    "scripted": 2 * 3 * 4 * 4 + 2 * 3 * 4 * 2,
}


@pytest.fixture(name="shell")
def _shell(run: Run) -> Run:
    """The native command, which captures with this Python."""
    return lambda *arguments: run(*arguments, FXCOST_PYTHON=sys.executable)


@pytest.mark.parametrize("name", ODD)
def test_odd_models_have_complete_answers(name: str) -> None:
    model, args = getattr(odd_models, name)()
    with torch.no_grad():
        report = fxcost.analyze(model.eval(), args)
    assert report.matrix_flops == ODD[name]
    assert report.unknown == {}
    shown = str(report)
    assert "captured by record in the executed path dialect" in shown
    assert "route       torch.export failed: " in shown


def test_a_quantised_module_is_a_named_unknown() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, args = odd_models.quantised()
    report = fxcost.analyze(model.eval(), args)
    assert report.unknown == {"quantized.linear_dynamic.default": 2}


@pytest.mark.parametrize("name", [*ODD, "quantised"])
def test_odd_models_in_the_shell(shell: Run, name: str) -> None:
    answer = shell(f"{HERE / 'odd_models.py'}:{name}", "--raw")
    assert answer.returncode == 0, answer.stderr
    assert len(answer.stderr.splitlines()) <= 5
    assert "captured by record" in answer.stdout
    unknown = shell(f"{HERE / 'odd_models.py'}:{name}", "--fail-on-unknown")
    assert unknown.returncode == (1 if name == "quantised" else 0)


def test_what_does_not_run_has_no_answer(shell: Run) -> None:
    answer = shell(f"{HERE / 'odd_models.py'}:wrong")
    assert answer.returncode == 6
    assert 0 < len(answer.stderr.splitlines()) <= 5
    assert "cannot be captured by torch.export" in answer.stderr
    forced = shell(f"{HERE / 'odd_models.py'}:wrong", "--record")
    assert forced.returncode == 6
    assert "cannot be captured by running it" in forced.stderr
    assert len(forced.stderr.splitlines()) <= 5


def test_a_route_can_be_forced() -> None:
    model, args = torch.nn.Linear(4, 4).eval(), (torch.ones(3, 4),)
    recorded = fxcost.analyze(model, args, route="record")
    exported = fxcost.analyze(model, args, route="export")
    assert recorded.matrix_flops == exported.matrix_flops == 2 * 3 * 4 * 4
    assert recorded.program.info().route == b"record"
    assert exported.program.info().route == fxcost.analyze(model, args).program.info().route == b"export"
    with pytest.raises(fxcost.FxcostError, match="cannot be captured by torch.export"):
        fxcost.analyze(*odd_models.branch(), route="export")
    with pytest.raises(fxcost.FxcostError, match="no such route"):
        fxcost.analyze(model, args, route="guess")
    with pytest.raises(fxcost.FxcostError, match="no dynamic dimensions"):
        fxcost.analyze(model, args, route="record", dynamic_shapes={"input": {0: torch.export.Dim("batch")}})


def test_other_methods() -> None:
    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = torch.nn.Linear(4, 4), torch.nn.Linear(4, 2)

        def encode(self, x: torch.Tensor, times: int = 1) -> torch.Tensor:
            for _ in range(times):
                x = self.first(x)
            return x

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(self.encode(x))

    model, x = Encoder().eval(), torch.ones(3, 4)
    report = fxcost.analyze(model, (x,), {"times": 2}, method="encode")
    assert report.matrix_flops == report.module("first").matrix_flops == 2 * 2 * 3 * 4 * 4
    assert "encode is not forward" in str(report)
    both = fxcost.analyze(model, (x,), method=lambda x: model.second(model.encode(x, 3)))
    assert both.matrix_flops == 3 * 2 * 3 * 4 * 4 + 2 * 3 * 4 * 2
    with pytest.raises(fxcost.FxcostError):
        fxcost.analyze(model, (x,), method="decode")


def test_generation_of_a_model_without_weights(shell: Run) -> None:
    """Greedy decoding asks for values, which zeros give. Against FlopCounterMode on the same model with weights."""
    import transformers

    settings = ["n_layer=1", "n_embd=32", "n_head=2", "vocab_size=50", "eos_token_id=null", "bos_token_id=0"]
    answer = shell(
        "hf:gpt2", *[word for setting in settings for word in ("--set", setting)], "--set", "pad_token_id=0",
        "--seq", "8", "--method", "generate(max_new_tokens=12, do_sample=False)", "--format", "json",
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    config = transformers.GPT2Config(
        n_layer=1, n_embd=32, n_head=2, vocab_size=50, eos_token_id=None, bos_token_id=0, pad_token_id=0
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    with FlopCounterMode(display=False) as counter:
        model.generate(torch.zeros(1, 8, dtype=torch.int64), max_new_tokens=12, do_sample=False)
    found = json.loads(answer.stdout)
    seen = counter.get_total_flops()  # without fused attention, which it does not see on a CPU
    heads, size = 2, 16
    prefill = 2 * heads * 8 * 8 * (size + size)
    steps = sum(2 * heads * rows * (size + size) for rows in range(9, 9 + 11))
    assert found["totals"]["matrix_flops"] == seen + prefill + steps


# ---- nothing changes ------------------------------------------------------------------------------------------------


class Restless(torch.nn.Module):
    """Changes what a forward can change: buffers, attributes, random state, its mode; and may fail at the end."""

    def __init__(self, fails: bool) -> None:
        super().__init__()
        self.linear, self.norm = torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4)
        self.register_buffer("seen", torch.zeros(1))
        self.fails = fails
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.seen += 1
        self.last = x
        x.add_(1)
        random.random()
        np.random.rand()
        y = self.norm(self.linear(x)) + torch.rand(4)
        if y.sum() > -1e9:
            self.train(not self.training)
        if self.fails:
            raise ZeroDivisionError("on purpose")
        return y


def state(model: torch.nn.Module) -> dict[str, Any]:
    return {
        "flags": [module.training for module in model.modules()],
        "attributes": [sorted(vars(module)) for module in model.modules()],
        "tensors": {name: tensor.clone() for name, tensor in model.state_dict().items()},
        "devices": [tensor.device for tensor in model.parameters()],
        "requires_grad": [parameter.requires_grad for parameter in model.parameters()],
        "grads": [None if parameter.grad is None else parameter.grad.clone() for parameter in model.parameters()],
        "hooks": [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()],
        "calls": getattr(model, "calls", 0),
        "random": (random.getstate(), torch.get_rng_state(), np.random.get_state()[1].tolist()),
        "call": torch.nn.Module.__call__,
        "modes": torch._C._len_torch_dispatch_stack() + torch._C._len_torch_function_stack(),
        "grad mode": torch.is_grad_enabled(),
    }


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@pytest.mark.parametrize("fails", [False, True], ids=["succeeds", "fails"])
@pytest.mark.parametrize("route", ["auto", "export", "record", "submodules"])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_the_model_is_unchanged(route: str, fails: bool, training: bool) -> None:
    torch.manual_seed(0)
    model = Restless(fails).train(training)
    model.linear.register_forward_hook(lambda *_: None)
    model(torch.ones(3, 4)).sum().backward() if not fails else None
    model.train(training)
    x = torch.ones(3, 4)
    before, given = state(model), copy.deepcopy(x)
    try:
        capture_any(model, (x,), route=route)
        answered = True
    except fxcost.FxcostError:
        answered = False
    assert answered == (not fails and route != "export")
    assert same(before, state(model))
    assert torch.equal(x, given)


def test_the_block_itself_leaves_nothing() -> None:
    model = torch.nn.Linear(4, 4)
    before = state(model)
    with pytest.raises(ZeroDivisionError), fxcost.record(model) as recording:
        model(torch.ones(2, 4))
        raise ZeroDivisionError
    assert same(before, state(model))
    assert recording.report().matrix_flops == 2 * 2 * 4 * 4


def test_no_tensor_is_kept_alive() -> None:
    import gc
    import weakref

    with fxcost.record() as recording:
        x = torch.ones(1000, 1000)
        storage = weakref.ref(x.untyped_storage())
        y = x * 2
        del x
        gc.collect()
        assert storage() is None  # while the recording runs
        y.sum()
    assert recording.report().flops > 0


def test_fake_inputs_keep_their_mode_when_they_are_copied() -> None:
    """A copied mode copies torch's weak references to storages, whose destructors then free memory in use: the process
    would abort when it ends."""
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.multiprocessing.reductions import StorageWeakRef

    mode = FakeTensorMode(allow_non_fake_inputs=True)
    with mode:
        x = torch.empty(4, 8)
    constant = mode.fake_tensor_converter.from_real_tensor(mode, torch.tensor([1, 2]), make_constant=True)
    references = mode.fake_tensor_converter.constant_storage_mapping
    assert constant.shape == (2,) and references and all(isinstance(key, StorageWeakRef) for key in references)
    copies: list[int] = []
    plain = StorageWeakRef.__reduce_ex__

    def noted(self: StorageWeakRef, protocol: Any) -> Any:
        copies.append(self.cdata)
        return plain(self, protocol)

    StorageWeakRef.__reduce_ex__ = noted  # type: ignore[method-assign]
    try:
        capture_any(torch.nn.Tanh(), (x,), route="record")
    finally:
        StorageWeakRef.__reduce_ex__ = plain  # type: ignore[method-assign]
    assert not copies
