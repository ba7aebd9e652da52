"""Times of the operators of an exported graph, taken as close to a plain run as Python allows.

The graph becomes one Python function in which the clock is read before and after every operator, and nothing else
happens between: no bookkeeping that would push a tensor out of a cache which the next operator finds there.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from .columns import NONE
from .convert import Converter
from .enums import enum


class NodeTimer:
    """Runs a graph node by node, without gradients; :attr:`runs` has nanoseconds by FX name.

    ``inputs`` gives what the placeholders stand for, anew for each run."""

    def __init__(self, module: torch.fx.GraphModule, inputs: Callable[[], Iterable[Any]]) -> None:
        self._function, self._names = _timed_function(module)
        self._inputs = inputs
        self._overhead = clock_overhead()
        self.runs: dict[str, list[int]] = {name: [] for name in self._names}
        self.whole: list[int] = []  # the sum of each run

    def run(self, *, counted: bool = True) -> Any:
        """One run; what the graph returns."""
        inputs = list(self._inputs())
        times = [0] * len(self._names)
        with torch.no_grad(), without_collection():
            result = self._function(inputs, times, time.perf_counter_ns)
        if counted:
            times = [max(1, nanoseconds - self._overhead) for nanoseconds in times]
            self.whole.append(sum(times))
            for name, nanoseconds in zip(self._names, times, strict=True):
                self.runs[name].append(nanoseconds)
        return result

    def add_rows(self, converter: Converter) -> None:
        """Adds the least and the median of the quieter half of the runs to a program under construction, by node."""
        kept = quieter_half(self.whole)
        for fx_node, value in converter.value_of.items():
            node = converter.columns.rows["value_producer"][value]
            if node != NONE and fx_node.op == "call_function" and fx_node.name in self.runs:
                add_times(converter, node, [self.runs[fx_node.name][run] for run in kept])


def quieter_half(totals: list[int]) -> list[int]:
    """Which runs were the faster half: what else a machine did in the others is no property of the program."""
    order = sorted(range(len(totals)), key=totals.__getitem__)
    return order[: (len(order) + 1) // 2]


def add_times(converter: Converter, node: int, nanoseconds: list[int]) -> None:
    """Rows with the least and the median of some runs of a node, or (NONE) of the whole program."""
    what = enum("measure")
    for key, number in (("min_ns", min(nanoseconds)), ("median_ns", round(statistics.median(nanoseconds)))):
        converter.columns.add("measure", node=node, what=what[key], value=number)


class without_collection:
    """A context without garbage collection."""

    def __enter__(self) -> None:
        self._enabled = gc.isenabled()  # nor one now: it would leave nothing of the last run in the caches
        gc.disable()

    def __exit__(self, *_: object) -> None:
        if self._enabled:
            gc.enable()


def clock_overhead(repeats: int = 1000) -> int:
    """Nanoseconds between two readings of the clock with nothing between."""
    clock = time.perf_counter_ns
    found = []
    for _ in range(repeats):
        start = clock()
        found.append(clock() - start)
    return min(found)


def inputs_of(program: Any) -> Iterator[Any]:
    """What the placeholders of an exported program stand for; inputs of the user are copies, for a model may write."""
    args, kwargs = program.example_inputs
    order = program.call_spec.in_spec.child(1).context
    leaves = iter(tree_leaves((args, {key: kwargs[key] for key in order})))
    for spec in program.graph_signature.input_specs:
        if spec.kind.name == "USER_INPUT":
            leaf = next(leaves)
            yield leaf.detach().clone() if isinstance(leaf, torch.Tensor) else leaf
        else:
            yield program.state_dict.get(spec.target, program.constants.get(spec.target))


def _timed_function(module: torch.fx.GraphModule) -> tuple[Callable[..., Any], list[str]]:
    """The function, and the names of the nodes whose times it writes."""
    scope: dict[str, Any] = {}
    lines = ["def run(inputs, times, clock):"]
    last: dict[torch.fx.Node, torch.fx.Node] = {}
    for node in module.graph.nodes:
        for used in node.all_input_nodes:
            last[used] = node
        last.setdefault(node, node)
    dead: dict[torch.fx.Node, list[str]] = {}
    for node, user in last.items():
        if user.op != "output":
            dead.setdefault(user, []).append(_variable(node))
    names: list[str] = []
    inputs = 0
    for node in module.graph.nodes:
        name = _variable(node)
        if node.op == "placeholder":
            lines.append(f"    {name} = inputs[{inputs}]")
            inputs += 1
        elif node.op == "get_attr":
            scope["held_" + name] = _attribute(module, node.target)
            lines.append(f"    {name} = held_{name}")
        elif node.op == "call_function":
            scope["call_" + name] = node.target
            arguments = [_text(argument, scope) for argument in node.args]
            arguments += [f"{key}={_text(argument, scope)}" for key, argument in node.kwargs.items()]
            lines.append("    start = clock()")
            lines.append(f"    {name} = call_{name}({', '.join(arguments)})")
            lines.append(f"    times[{len(names)}] = clock() - start")
            names.append(node.name)
        elif node.op == "output":
            lines.append(f"    return {_text(node.args[0], scope)}")
        if node in dead and node.op != "output":
            lines.append("    del " + ", ".join(dead[node]))
    exec(compile("\n".join(lines), "<timed graph>", "exec"), scope)  # noqa: S102  the text is made above
    return scope["run"], names


def _variable(node: torch.fx.Node) -> str:
    return "v_" + node.name


def _attribute(module: Any, target: str) -> Any:
    for part in target.split("."):
        module = getattr(module, part)
    return module


def _text(argument: Any, scope: dict[str, Any]) -> str:
    """An argument as an expression: values are local variables, all else is a name in the function's scope."""
    if isinstance(argument, torch.fx.Node):
        return _variable(argument)
    if isinstance(argument, (list, tuple)) and any(isinstance(item, (torch.fx.Node, list, tuple)) for item in argument):
        inside = ", ".join(_text(item, scope) for item in argument)
        return f"[{inside}]" if isinstance(argument, list) else f"({inside},)"
    if isinstance(argument, slice):
        return f"slice({_text(argument.start, scope)}, {_text(argument.stop, scope)}, {_text(argument.step, scope)})"
    if isinstance(argument, dict):
        return "{" + ", ".join(f"{key!r}: {_text(item, scope)}" for key, item in argument.items()) + "}"
    name = f"constant_{len(scope)}"
    scope[name] = argument
    return name
