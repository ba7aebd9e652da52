"""What Inductor makes of a program on this machine: its final kernels, what each computes, reads and writes.

    truth(module, inputs) -> Truth        train=True: the forward and the backward graph of a step
    python tests/inductor/truth.py FILE.py[:NAME]     NAME (default: model) returns (module, inputs)

The schedule is read where Inductor would begin to generate code, so no C++ compiler is needed. Beside each graph is the
program that fxcost catches of the same compilation: nodes have the same names in both.

A kernel's members are the graph's nodes whose loops it evaluates, values that were inlined into it included: Inductor
keeps no such record (origins of its buffers name siblings too), so the inner function of every loop is tagged with the
node that made it, and the tags are collected while Inductor traces the body of each buffer. Views have no loops.
Bytes are Inductor's own accounting (get_read_write_buffer_accesses, summed into metrics.num_bytes_accessed).
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.util
import operator
import os
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

import torch  # noqa: E402
from torch._functorch.aot_autograd import make_boxed_func  # noqa: E402
from torch._inductor import config as inductor_config  # noqa: E402
from torch._inductor import graph as inductor_graph  # noqa: E402
from torch._inductor import ir, scheduler  # noqa: E402
from torch._inductor.compile_fx import compile_fx, compile_fx_inner  # noqa: E402
from torch._inductor.virtualized import V  # noqa: E402

import fxcost  # noqa: E402

# Scheduler nodes that launch nothing.
_SILENT = ("nop", "multi_output")


@dataclass(frozen=True)
class Kernel:
    """``members`` are names of graph nodes; ``reads`` and ``writes`` are bytes by buffer. ``size`` and ``reduced`` are
    the iteration space of its last part."""

    name: str
    kind: str
    members: frozenset[str]
    parts: tuple[str, ...]
    bytes: int
    reads: dict[str, int]
    writes: dict[str, int]
    size: tuple[int, ...] = ()
    reduced: tuple[int, ...] = ()


@dataclass
class Graph:
    """One compiled graph: nodes by name with their operators, its kernels, and the program that fxcost caught."""

    targets: dict[str, str]
    kernels: list[Kernel]
    program: fxcost.Capture | None = None

    @property
    def bytes(self) -> int:
        return sum(kernel.bytes for kernel in self.kernels)


@dataclass
class Truth:
    graphs: list[Graph] = field(default_factory=list)
    seconds: float = 0.0
    error: str = ""

    def kernels(self) -> list[tuple[str, frozenset[str], int]]:
        """What two compilations of a module have in common when they decide alike: kind, members, bytes."""
        return [(kernel.kind, kernel.members, kernel.bytes) for graph in self.graphs for kernel in graph.kernels]


class _Scheduled(Exception):
    """The schedule is final: what follows would generate code."""


def truth(
    module: Callable[..., Any],
    inputs: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
    *,
    train: bool = False,
    options: dict[str, Any] | None = None,
) -> Truth:
    """Compiles a module up to its schedule. ``options`` are settings of torch._inductor.config."""
    found = Truth()
    torch._dynamo.reset()
    start = time.perf_counter()
    with (
        inductor_config.patch({"fx_graph_cache": False, "cpp.threads": 1, **(options or {})}),
        fxcost.compiled() as programs,
        _schedules() as graphs,
        torch.enable_grad() if train else torch.no_grad(),
    ):
        compiled = torch.compile(module, backend=_backend)
        try:
            result = compiled(*inputs, **(kwargs or {}))
        except AttributeError:  # a frozen graph holds lowerings of Inductor's own, which do not run
            if not graphs or not (options or {}).get("freezing"):
                raise
        if train:
            _scalar(result).backward()
    found.seconds = time.perf_counter() - start
    for graph, program in zip(graphs, programs, strict=True):
        graph.program = program
        found.graphs.append(graph)
    return found


def _scalar(result: Any) -> torch.Tensor:
    leaves = torch.utils._pytree.tree_leaves(getattr(result, "loss", None) or result)
    return sum(leaf.sum() for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.requires_grad)


def _backend(graph: torch.fx.GraphModule, inputs: Any) -> Any:
    """Inductor, except that a graph whose schedule was read runs eagerly."""

    def inner(module: torch.fx.GraphModule, *args: Any, **kwargs: Any) -> Any:
        try:
            return compile_fx_inner(module, *args, **kwargs)
        except Exception as error:
            if not isinstance(getattr(error, "inner_exception", error), _Scheduled):
                raise
            return make_boxed_func(module.forward)

    return compile_fx(graph, inputs, inner_compile=inner)


@contextlib.contextmanager
def _schedules() -> Iterator[list[Graph]]:
    graphs: list[Graph] = []
    collector = _Collector()

    def codegen(self: scheduler.Scheduler) -> None:
        nodes = [node for node in V.graph.graph.nodes if node.op == "call_function"]
        kernels = [_kernel(node, collector) for node in self.nodes]
        graphs.append(Graph({n.name: _target(n) for n in nodes}, [k for k in kernels if k.kind not in _SILENT]))
        collector.clear()
        raise _Scheduled

    stock = scheduler.Scheduler.codegen
    scheduler.Scheduler.codegen = codegen
    try:
        with collector.collecting():
            yield graphs
    finally:
        scheduler.Scheduler.codegen = stock


def _target(node: torch.fx.Node) -> str:
    """The operator's name; lowerings that freezing puts in their place are functions."""
    target = node.target.func if isinstance(node.target, functools.partial) else node.target
    return f"{target.__module__}.{target.__name__}" if isinstance(target, types.FunctionType) else str(target)


# ---- which nodes a buffer evaluates ---------------------------------------------------------------------------------


class _Collector:
    """Nodes by the buffer whose loop body evaluates what they made, and by the operation that they made."""

    def __init__(self) -> None:
        self.of_buffer: dict[str, set[str]] = {}
        self.of_operation: dict[str, str] = {}
        self._open: set[str] | None = None

    def clear(self) -> None:
        self.of_buffer, self.of_operation = {}, {}

    @contextlib.contextmanager
    def collecting(self) -> Iterator[None]:
        patches = [
            (ir.Loops, "__post_init__", self._tagging(ir.Loops.__post_init__)),
            (ir.ComputedBuffer, "get_default_sizes_body", self._tracing(ir.ComputedBuffer.get_default_sizes_body)),
            (
                inductor_graph.GraphLowering,
                "register_operation",
                self._registering(inductor_graph.GraphLowering.register_operation),
            ),
        ]
        before = [(owner, name, vars(owner).get(name)) for owner, name, _ in patches]
        for owner, name, function in patches:
            setattr(owner, name, function)
        try:
            yield
        finally:
            for owner, name, function in before:
                if function is None:
                    delattr(owner, name)
                else:
                    setattr(owner, name, function)

    def _tagging(self, stock: Any) -> Any:
        def post_init(loops: Any) -> None:
            stock(loops)
            name = _current_node()
            if name is None:
                return
            if hasattr(loops, "inner_fns"):
                object.__setattr__(loops, "inner_fns", tuple(self._tagged(name, fn) for fn in loops.inner_fns))
            object.__setattr__(loops, "inner_fn", self._tagged(name, loops.inner_fn))

        return post_init

    def _tagged(self, name: str, function: Any) -> Any:
        def tagged(*args: Any, **kwargs: Any) -> Any:
            if self._open is not None:
                self._open.add(name)
            return function(*args, **kwargs)

        return functools.update_wrapper(tagged, function) if hasattr(function, "__name__") else tagged

    def _tracing(self, stock: Any) -> Any:
        def get_default_sizes_body(buffer: Any) -> Any:
            outer, self._open = self._open, set()
            try:
                result = stock(buffer)
                self.of_buffer.setdefault(buffer.get_name(), set()).update(self._open)
                return result
            finally:
                self._open = outer

        # cache_on_self keeps what it needs to forget the cached value on the function itself
        return functools.update_wrapper(get_default_sizes_body, stock)

    def _registering(self, stock: Any) -> Any:
        def register_operation(graph: Any, operation: Any) -> str:
            name: str = stock(graph, operation)
            node = _current_node()
            if node is not None:
                self.of_operation[name] = node
            return name

        return register_operation


def _current_node() -> str | None:
    """The graph's node that is being lowered; picking a part of a result computes nothing. An input that is laid out
    anew at once is so for the first node that reads it."""
    node = getattr(V, "current_node", None)
    if isinstance(node, torch.fx.Node) and node.op == "placeholder":
        node = next((user for user in node.users if user.op == "call_function"), None)
    return node.name if isinstance(node, torch.fx.Node) and node.target is not operator.getitem else None


# ---- kernels --------------------------------------------------------------------------------------------------------


def _kind(node: Any) -> str:
    if isinstance(node, scheduler.NopKernelSchedulerNode):
        return "nop"
    if isinstance(node, scheduler.ExternKernelSchedulerNode):
        return "multi_output" if isinstance(node.node, ir.MultiOutput) else "extern"
    if isinstance(node, scheduler.ForeachKernelSchedulerNode):
        return "foreach"
    if node.is_template():
        return "template"
    if type(node).__name__ == "OuterLoopFusedSchedulerNode":
        return "outer_loop"
    return "reduction" if node.is_reduction() else "pointwise"


def _members(node: Any, collector: _Collector) -> set[str]:
    if isinstance(node, scheduler.SchedulerNode) and isinstance(node.node, ir.ComputedBuffer):
        return collector.of_buffer.get(node.node.get_name(), set())
    made_by = collector.of_operation.get(node.get_name())
    return set() if made_by is None else {made_by}


def _ints(sizes: Any) -> tuple[int, ...]:
    sizes = sizes if isinstance(sizes, (tuple, list)) else [sizes]
    return tuple(int(V.graph.sizevars.optimization_hint(size, fallback=-1)) for size in sizes)


def _kernel(node: Any, collector: _Collector) -> Kernel:
    parts = node.get_nodes()
    members: set[str] = set().union(*(_members(part, collector) for part in parts))
    # The cached sums of the scheduler would be wrong for whoever fuses on: these leave its state alone.
    reads = node.get_read_write_buffer_accesses(True, False)
    writes = node.get_read_write_buffer_accesses(False, True)
    total = sum(node.get_read_write_buffer_accesses(True, True).values())
    size: tuple[int, ...] = ()
    reduced: tuple[int, ...] = ()
    if isinstance(parts[-1], scheduler.SchedulerNode):
        size, reduced = (_ints(part) for part in parts[-1].group[1])
    names = tuple(part.get_name() for part in parts)
    return Kernel(
        node.get_name(), _kind(node), frozenset(members), names, total, dict(reads), dict(writes), size, reduced
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="FILE.py[:NAME]")
    parser.add_argument("--train", action="store_true", help="forward and backward of a training step")
    options = parser.parse_args()
    path, _, name = options.model.partition(":")
    spec = importlib.util.spec_from_file_location("model_file", path)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    module, inputs = getattr(loaded, name or "model")()
    found = truth(module, inputs, train=options.train)
    for graph in found.graphs:
        print(f"{len(graph.kernels)} kernels, {graph.bytes:,} bytes")
        for kernel in graph.kernels:
            print(f"  {kernel.name:<16} {kernel.kind:<10} {kernel.bytes:>14,} B  {' '.join(sorted(kernel.members))}")


if __name__ == "__main__":
    main()
