"""An exported graph on a tape: its nodes as events, on the tensors of the call that it stands for."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import torch

from ..modules import clean_path
from .phases import NO_NUMBER
from .tape import Tape

_GRAD_REGION = "wrap_with_set_grad_enabled"  # runs its graph where it stands


class Unfit(Exception):
    """A graph that no tape can hold."""


def check_fits(program: Any) -> None:
    """Raises Unfit for what events cannot say: other graphs that are called, sizes that depend on data."""
    for node in _nodes(program.graph_module):
        if node.op == "call_function" and isinstance(node.target, torch._ops.HigherOrderOperator):
            if node.target.name() != _GRAD_REGION:
                raise Unfit(f"its graph calls others by {node.target.name()}")
        elif node.op in ("call_module", "call_method"):
            raise Unfit("its graph calls modules")
        for val in _leaves(node.meta.get("val")):
            if isinstance(val, torch.Tensor):
                try:
                    fixed = all(type(size) is int for size in (*val.shape, *val.stride()))
                except RuntimeError:
                    fixed = False
                if not fixed:
                    raise Unfit("its sizes depend on data")


def outputs(program: Any) -> list[Any]:
    """What the graph gives, in order: fake tensors and plain values."""
    node = next(node for node in program.graph.nodes if node.op == "output")
    specs = program.graph_signature.output_specs
    returned = [arg for arg, spec in zip(node.args[0], specs, strict=True) if spec.kind.name == "USER_OUTPUT"]
    return [arg.meta["val"] if isinstance(arg, torch.fx.Node) else arg for arg in returned]


def _nodes(module: torch.fx.GraphModule) -> Iterator[torch.fx.Node]:
    for part in module.modules():
        if isinstance(part, torch.fx.GraphModule):
            yield from part.graph.nodes


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


class GraphWriter:
    """Puts one exported program on the tape, in place of the call of ``module`` that is open."""

    def __init__(self, tape: Tape, module: torch.nn.Module) -> None:
        self.tape, self.module = tape, module
        self._call = tape.call
        self._rows: dict[str, int] = {}

    def write(self, program: Any, inputs: list[Any], results: list[Any]) -> None:
        """``inputs`` are those of the call in the graph's order, ``results`` what the caller goes on with."""
        given, env = iter(inputs), dict[torch.fx.Node, Any]()
        placeholders = [node for node in program.graph.nodes if node.op == "placeholder"]
        for node, spec in zip(placeholders, program.graph_signature.input_specs, strict=True):
            if spec.kind.name == "USER_INPUT":
                actual = next(given)
            else:
                actual = program.state_dict.get(spec.target, program.constants.get(spec.target))
            env[node] = self._taken(node.meta.get("val"), actual)
        self._run(program.graph_module, env)
        returned = next(node for node in program.graph.nodes if node.op == "output").args[0]
        specs = program.graph_signature.output_specs
        user = [arg for arg, spec in zip(returned, specs, strict=True) if spec.kind.name == "USER_OUTPUT"]
        for arg, result in zip(user, results, strict=True):
            if isinstance(arg, torch.fx.Node) and isinstance(result, torch.Tensor):
                self.tape.stands_for(result, env[arg])

    def _taken(self, val: Any, actual: Any) -> Any:
        if not isinstance(actual, torch.Tensor):
            return actual
        ref = self.tape.ref(actual)
        if isinstance(val, torch.Tensor) and ref.storage >= 0:
            self.tape.stands_for(val, ref)
        return ref

    def _run(self, graph: torch.fx.GraphModule, env: dict[torch.fx.Node, Any]) -> Any:
        def of(arg: Any) -> Any:
            if isinstance(arg, torch.fx.Node):
                return env[arg]
            if isinstance(arg, (list, tuple)):
                return [of(item) for item in arg]
            return {key: of(item) for key, item in arg.items()} if isinstance(arg, dict) else arg

        for node in graph.graph.nodes:
            if node.op == "get_attr":
                found = operator.attrgetter(str(node.target))(graph)
                env[node] = self._taken(node.meta.get("val"), found)
            elif node.op == "output":
                return of(node.args[0])
            elif node.op == "call_function":
                env[node] = self._event(node, of)
        return None

    def _event(self, node: torch.fx.Node, of: Any) -> Any:
        target: Any = node.target
        if target is operator.getitem:
            return of(node.args[0])[node.args[1]]
        if isinstance(target, torch._ops.HigherOrderOperator):
            _, body, *operands = node.args
            module = of(body)
            inner = [part for part in module.graph.nodes if part.op == "placeholder"]
            return self._run(module, dict(zip(inner, map(of, operands), strict=True)))
        tape, val = self.tape, node.meta.get("val")
        taken, named = [of(arg) for arg in node.args], {key: of(arg) for key, arg in node.kwargs.items()} or None
        index = len(tape.events)
        made = tape.made(val, index, -1) if isinstance(val, torch.Tensor) else tape.results(val, index)
        place = node.meta.get("stack_trace")
        call = self._call_of(node.meta.get("nn_module_stack") or {})
        tape.events.append((target, taken, named, made, call, None, place, 0, 0, NO_NUMBER))
        return made

    def _call_of(self, stack: dict[str, tuple[str, Any]]) -> int:
        row = self._call
        for key, (raw, _) in stack.items():
            path = clean_path(raw)
            if not path:
                continue
            known = self._rows.get(key)
            if known is None:
                try:
                    module = self.module.get_submodule(path)
                except AttributeError:  # torch's own name for what it made itself
                    return row
                known = self._rows[key] = len(self.tape.calls)
                self.tape.calls.append((module, row, module.training, len(self.tape.events)))
            row = known
        return row


class Opaque:
    """The operator that stands for a module of which nothing is known but its class."""

    def __init__(self, cls: type) -> None:
        self.__module__, self.__name__ = cls.__module__, cls.__qualname__


def add_opaque(tape: Tape, call: int, cls: type) -> None:
    tape.events.append((Opaque(cls), [], None, None, call, None, None, 0, 0, NO_NUMBER))
