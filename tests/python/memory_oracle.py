"""What is alive while a captured module runs: storages by weak references, under torch.fx.Interpreter.

A TorchDispatchMode sees every tensor that an operator below autograd returns. Its storage counts from then until
Python and C++ have dropped it. The interpreter drops a value after its last use (garbage_collect_values)."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import torch
from shape_sources import _get
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_leaves

from fxcost.binding import Analysis, Program
from fxcost.exporter import capture
from fxcost.fusion import NodeInfo


class Tracker(TorchDispatchMode):
    """Bytes of the storages that are alive."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()
        self.alive: set[int] = set()
        self.now = self.peak = self.most = 0

    def add(self, tensor: Any) -> None:
        if not isinstance(tensor, torch.Tensor):
            return
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self.alive:
            return
        self.alive.add(key)
        weakref.finalize(storage, self._drop, key, size)
        self.now += size
        self.peak, self.most = max(self.peak, self.now), max(self.most, self.now)

    def _drop(self, key: int, size: int) -> None:
        self.alive.discard(key)
        self.now -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.higher_order.cond:
            condition, yes, no, operands = args
            with self:  # the branch that is taken, operator by operator
                return (yes if condition else no)(*operands)
        result = func(*args, **(kwargs or {}))
        for tensor in tree_iter(result):
            self.add(tensor)
        return result


@dataclass
class Step:
    """Bytes alive before a node, at most while it runs, and after it."""

    before: int
    most: int
    after: int = 0


class _Run(torch.fx.Interpreter):
    def __init__(self, module: torch.fx.GraphModule, tracker: Tracker) -> None:
        super().__init__(module, garbage_collect_values=True)
        self.tracker = tracker
        self.steps: dict[str, Step] = {}
        self.open: Step | None = None

    def run_node(self, n: torch.fx.Node) -> Any:
        now = self.tracker.now
        if self.open is not None:
            self.open.after = now  # what the node before was the last to use is gone by now
        self.tracker.most = now
        result = super().run_node(n)
        self.open = Step(now, self.tracker.most)
        if n.op == "call_function":
            self.steps[n.name] = self.open
        return result


@dataclass
class Compared:
    """fxcost beside the tracker."""

    peak: int
    seen: int  # by the tracker
    given: int
    nodes: int
    differing: list[str]  # nodes where a number differs
    untold: int
    analysis: Analysis


def interpreted(module: torch.fx.GraphModule, inputs: list[Any]) -> tuple[int, int, dict[str, Step]]:
    """Bytes given, peak, and steps by node name."""
    tracker = Tracker()
    held = [getattr_path(module, node.target) for node in module.graph.nodes if node.op == "get_attr"]
    for tensor in (*module.parameters(), *module.buffers(), *held, *inputs):
        tracker.add(tensor)
    given, run = tracker.now, _Run(module, tracker)
    with torch.no_grad(), tracker:
        result = run.run(*inputs)
    if run.open is not None:
        run.open.after = tracker.now
    del result
    return given, tracker.peak, run.steps


def getattr_path(module: nn.Module, path: Any) -> Any:
    for name in str(path).split("."):
        module = getattr(module, name)
    return module


def compare(model: nn.Module, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Compared:
    """Exports a model, counts it, and runs what was exported; the model must hold real weights."""
    kwargs = kwargs or {}
    with torch.no_grad():
        program = torch.export.export(model, args, kwargs)
        captured = capture(program)
    module = program.module(check_guards=False)
    given, seen, steps = interpreted(module, tree_leaves((args, kwargs)))
    analysis = Analysis(Program.from_bytes(captured.to_bytes()))
    summary, differing = analysis.memory(), []
    for index in range(analysis.program.info().nodes):
        node = _get("fxc_program_get_node", NodeInfo, analysis.program._handle, index)
        if node.graph != 0:
            continue
        at, step = analysis.memory_at(index), steps[node.name.decode()]
        if (at.before, at.most, at.after) != (step.before, step.most, step.after):
            was = f"{at.before}, {at.most}, {at.after}; seen {step.before}, {step.most}, {step.after}"
            differing.append(f"{node.name.decode()} ({node.op.decode()}): {was}")
    assert summary.given_bytes == given
    return Compared(summary.peak_bytes, seen, given, len(steps), differing, summary.untold, analysis)


def eager_peak(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """The same of the model itself, whose Python frames hold their variables until they return."""
    tracker = Tracker()
    for tensor in (*model.parameters(), *model.buffers(), *tree_leaves((args, kwargs))):
        tracker.add(tensor)
    with torch.no_grad(), tracker:
        result = model(*args, **kwargs)
    del result
    return tracker.peak


def training_step(
    model: nn.Module, inputs: dict[str, Any], optimizer: torch.optim.Optimizer, scalar: Any
) -> tuple[int, int]:
    """Peak of a second step, and bytes of the optimiser's state."""
    for _ in range(2):
        optimizer.zero_grad()
        tracker = Tracker()
        state = [entry for row in optimizer.state.values() for entry in row.values() if isinstance(entry, torch.Tensor)]
        for tensor in (*model.parameters(), *model.buffers(), *tree_leaves(inputs), *state):
            tracker.add(tensor)
        with tracker:
            loss = scalar(model(**inputs))
            loss.backward()
            optimizer.step()
    return tracker.peak, sum(tensor.untyped_storage().nbytes() for tensor in state)
