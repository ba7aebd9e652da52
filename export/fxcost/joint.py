"""A training step as a program: forward, loss and backward of a model, run on fake tensors and recorded.

What autograd runs is recorded rather than composed by AOTAutograd: the numbers then are those of eager training, with
what checkpoints compute again, with what autograd leaves out for frozen parameters, and with what no loss uses.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from .enums import enum
from .errors import FxcostError, usage
from .exporter import Capture
from .fakes import make_fake, mode_of
from .recording import Recording

Loss = Callable[[Any], torch.Tensor]


def capture_step(
    model: torch.nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], loss: Loss | None, label: str
) -> Capture:
    """Forward and backward as one program. The model's parameters are replaced by fake ones meanwhile: the caller
    puts them back (guard.unchanged)."""
    mode = mode_of(model)
    make_fake(model, mode)
    named: dict[str, torch.Tensor] = {}
    args = tuple(_fake(arg, mode, f"input_{index}", named) for index, arg in enumerate(args))
    kwargs = {key: _fake(arg, mode, key, named) for key, arg in kwargs.items()}
    step = _Step(model, label, named)
    with mode, torch.enable_grad(), _single_threaded(), step:
        goal = _goal(model(*args, **kwargs), loss)
        with step.starting():
            torch.autograd.backward(goal.tensors, goal.gradients())
        step.head["loss"] = goal.text
        step.give(goal.outputs() + _gradients(model, named))
    return step.capture


class _Step(Recording):
    """A recording that says what it differentiated and what came out."""

    def __init__(self, model: torch.nn.Module, label: str, inputs: dict[str, torch.Tensor]) -> None:
        super().__init__(model, label, inputs, fold=False)  # outputs may name any node
        self.head |= {"route": "joint", **_batch(inputs)}
        self._outputs: list[tuple[str, str, Any]] = []

    def starting(self) -> contextlib.AbstractContextManager[None]:
        return self._tape.phases.starting()

    def give(self, outputs: list[tuple[str, str, torch.Tensor]]) -> None:
        """Roles and targets of outputs, and their tensors."""
        self._outputs = [(role, target, self._tape.ref(tensor)) for role, target, tensor in outputs]

    def _written(self, writer: Any) -> None:
        rows, columns, role_of = writer.columns.rows, writer.columns, enum("output_kind")
        rows["graph_view"][0] = enum("view")["joint"]
        for role, target, ref in self._outputs:
            kind, payload = writer.encode(ref)
            columns.add("output", role=role_of[role], kind=kind, payload=payload, target=columns.string(target))
        rows["graph_output_begin"][-1] = len(rows["output_role"])


# ---- fake tensors ---------------------------------------------------------------------------------------------------


def _fake(value: Any, mode: FakeTensorMode, name: str, named: dict[str, torch.Tensor]) -> Any:
    """An input with fake tensors in place of its tensors, which ``named`` collects by name."""
    if isinstance(value, torch.Tensor):
        fake = value if isinstance(value, FakeTensor) else mode.from_tensor(value)
        named[name] = fake
        return fake
    if isinstance(value, (list, tuple)):
        items = [_fake(item, mode, f"{name}_{index}", named) for index, item in enumerate(value)]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        return type(value)({key: _fake(item, mode, f"{name}_{key}", named) for key, item in value.items()})
    return value


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    """Autograd's threads for other devices know nothing of the modes that record."""
    with torch.autograd.set_multithreading_enabled(False):
        yield


# ---- what is differentiated -----------------------------------------------------------------------------------------


@dataclasses.dataclass
class _Goal:
    tensors: list[torch.Tensor]
    scalar: bool
    text: str  # for the head of the report

    def outputs(self) -> list[tuple[str, str, torch.Tensor]]:
        return [("loss" if self.scalar else "user_output", "", tensor) for tensor in self.tensors]

    def gradients(self) -> list[torch.Tensor | None]:
        """What the backward pass begins with; of a scalar, autograd makes it."""
        return [None if self.scalar else torch.ones_like(tensor) for tensor in self.tensors]


def _goal(result: Any, loss: Loss | None) -> _Goal:
    """The loss: the caller's, or the model's own (a scalar output, or one that is called ``loss``), or the sum of all
    outputs, whose gradient is given as ones so that the sum itself is not counted."""
    if loss is not None:
        value = loss(result)
        if not isinstance(value, torch.Tensor) or value.numel() != 1 or not value.requires_grad:
            raise usage(
                "loss= gives no differentiable scalar", "a function of the model's output, such as lambda y: y.sum()"
            )
        return _Goal([value], True, "given")
    found = dict(_tensors(result, ""))
    own = found.get("loss", result if isinstance(result, torch.Tensor) and result.dim() == 0 else None)
    if own is not None and own.numel() == 1 and own.requires_grad:
        return _Goal([own], True, "the model's own")
    chosen: dict[int, tuple[str, torch.Tensor]] = {}
    for name, tensor in found.items():
        if tensor.requires_grad and tensor.is_floating_point():
            chosen.setdefault(id(tensor), (name, tensor))
    if not chosen:
        raise FxcostError(
            "capture(mode='train')\n"
            "  expected: an output that depends on a parameter or input that requires a gradient\n"
            "  found: none\n  set requires_grad on a parameter or an input",
            status="CAPTURE",
        )
    names = ", ".join(name for name, _ in chosen.values() if name)
    tensors = [tensor for _, tensor in chosen.values()]
    text = "sum of the output" if len(tensors) == 1 else f"sum of {len(tensors)} outputs"
    return _Goal(tensors, False, f"{text} ({names})" if names else text)


def _tensors(value: Any, name: str) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors in an output, by name; caches and other objects are no outputs to differentiate."""
    parts: Any = ()
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, (list, tuple)):
        parts = zip(getattr(value, "_fields", range(len(value))), value, strict=True)
    elif dataclasses.is_dataclass(value) or type(value).__name__ == "SimpleNamespace":
        parts = vars(value).items()
    for key, item in parts:
        yield from _tensors(item, f"{name}.{key}" if name else str(key))


def _gradients(model: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> list[tuple[str, str, torch.Tensor]]:
    """Gradients as outputs of the program."""
    found = [("gradient_to_parameter", name, tensor.grad) for name, tensor in model.named_parameters()]
    found += [("gradient_to_user_input", name, tensor.grad) for name, tensor in inputs.items() if tensor.is_leaf]
    return [(role, name, grad) for role, name, grad in found if grad is not None]


# ---- what a step is measured in -------------------------------------------------------------------------------------


def _batch(inputs: dict[str, torch.Tensor]) -> dict[str, int]:
    """Samples: the first dimension of the first input. Tokens: the elements of the first input of token numbers
    [samples, length], of the decoder too where there is one."""
    first = next((tensor for tensor in inputs.values() if tensor.dim() > 0), None)
    if first is None:
        return {}
    found = {"samples": int(first.shape[0])}
    tokens = next((t for t in inputs.values() if t.dim() == 2 and t.dtype in (torch.int64, torch.int32)), None)
    if tokens is first and tokens is not None:
        found["tokens"] = int(tokens.numel())
    return found
