"""The lowered view: the graph that torch's compiler fuses, as its own passes make it from an exported program.

torch._inductor.compile_fx runs on the exported graph, functionalised, decomposed and rewritten by its joint and
post-grad passes, and is stopped where it begins to lower the result to loops. Nothing is compiled. That place is a
private seam of torch; where a torch version lacks it, a request for the view says so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils import _pytree as pytree

from .absent import absent
from .columns import NONE
from .convert import Converter, Input
from .errors import FxcostError, first_line

# Key in the dictionary that torch's passes copy from node to node (node.meta["custom"]): the captured node's name.
ORIGIN = "fxcost_origin"


@dataclass
class Lowering:
    """A graph as the compiler fuses it; ``part`` is inference, forward or backward."""

    module: torch.fx.GraphModule
    part: str


class _Stop(Exception):
    """The graph is caught: what follows would generate code."""


@contextlib.contextmanager
def caught(stop: bool) -> Iterator[list[Lowering]]:
    """Collects the graphs that torch._inductor begins to lower meanwhile; with ``stop`` it goes no further."""
    from torch._inductor import compile_fx

    stock: Any = getattr(compile_fx, "GraphLowering", None)
    if stock is None:
        raise FxcostError(
            f"the lowered view\n  expected: torch._inductor.compile_fx.GraphLowering, as torch 2.12 to 2.14 have it\n"
            f"  found: torch {torch.__version__} without it\n  capture without the lowered view",
            status="CAPTURE",
        )
    found: list[Lowering] = []

    class Caught(stock):  # type: ignore[misc]
        def __init__(self, gm: torch.fx.GraphModule, *args: Any, **kwargs: Any) -> None:
            if not kwargs.get("is_const_graph"):
                part = "backward" if kwargs.get("is_backward") else "forward"
                part = "inference" if kwargs.get("is_inference") else part
                found.append(Lowering(unrun(gm, copied(gm.graph)), part))
                if stop:
                    raise _Stop
            super().__init__(gm, *args, **kwargs)

    with mock.patch.object(compile_fx, "GraphLowering", Caught):
        yield found


def lower(program: Any, device: str | None = None) -> torch.fx.GraphModule:
    """The graph that inference with an exported program compiles to: for its own device, or as on another. Its
    placeholders are the program's, in order; its nodes know their origin (``origin_of``)."""
    from torch._functorch import config as functorch_config
    from torch._inductor import compile_fx, config

    module, inputs = to_lower(program, device)
    # What is cached is not lowered again. An autocast around the caller is in the graph already.
    with (
        caught(stop=True) as found,
        absent(device),
        torch.no_grad(),
        torch._C._DisableAutocast(),
        config.patch(fx_graph_cache=False, fx_graph_remote_cache=False),
        functorch_config.patch(enable_autograd_cache=False),
    ):
        try:
            compile_fx.compile_fx(module, inputs)
        except Exception as error:
            if not is_stop(error):
                raise FxcostError(
                    f"the lowered view\n  expected: a program that torch._inductor takes\n"
                    f"  found: {type(error).__name__}: {first_line(error)}\n  capture without the lowered view",
                    status="CAPTURE",
                ) from error
    if not found:
        raise FxcostError(
            f"the lowered view\n  expected: torch._inductor to lower the graph\n  found: torch {torch.__version__} "
            "compiled nothing (an empty graph?)\n  capture without the lowered view",
            status="CAPTURE",
        )
    return found[0].module


def to_lower(program: Any, device: str | None = None) -> tuple[torch.fx.GraphModule, list[Any]]:
    """An exported program as the compiler takes it, and its fake inputs; on a device that need not be there."""
    graph = _with_writes(program)
    inputs = []
    for node in graph.nodes:
        node.meta["custom"] = {**(node.meta.get("custom") or {}), ORIGIN: node.name}
        if node.op == "placeholder":
            inputs.append(node.meta.get("val"))
    _inline_numbers(program, graph)
    if device is not None:
        place = torch.device(device if device == "cpu" else f"{device}:0")
        inputs = [_on(place, value) for value in inputs]
        for node in graph.nodes:
            if node.op == "call_function":
                node.args, node.kwargs = pytree.tree_map_only(torch.device, lambda _: place, (node.args, node.kwargs))
    return torch.fx.GraphModule(program.graph_module, graph), inputs


def _inline_numbers(program: Any, graph: torch.fx.Graph) -> None:
    """Constants of one element are numbers to the compiler, which sees what they hold; an exported program takes them
    as inputs."""
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    for node, spec in zip(placeholders, program.graph_signature.input_specs, strict=True):
        constant = program.constants.get(spec.target) if spec.kind.name == "CONSTANT_TENSOR" else None
        if not isinstance(constant, torch.Tensor) or constant.numel() != 1 or not node.users:
            continue
        if isinstance(constant, FakeTensor):  # of a program without its values
            continue
        with graph.inserting_after(placeholders[-1]):
            options: dict[str, Any] = {"dtype": constant.dtype, "device": constant.device, "pin_memory": False}
            number = graph.call_function(torch.ops.aten.full.default, (list(constant.shape), constant.item()), options)
        number.meta = dict(node.meta)
        node.replace_all_uses_with(number)


def _on(device: torch.device, value: Any) -> Any:
    """A fake tensor like another, on a device."""
    if not isinstance(value, FakeTensor):
        return value
    with value.fake_mode:
        return torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, device=device)


def maker(device: str | None = None) -> str:
    """What makes lowered graphs, for the head of a program."""
    return f"torch._inductor {torch.__version__}" + (f" for {device}" if device else "")


def is_stop(error: BaseException | None) -> bool:
    """Whether an error says that a graph was caught; torch._inductor raises its own in place of what it meets."""
    while error is not None:
        if isinstance(error, _Stop) or isinstance(getattr(error, "inner_exception", None), _Stop):
            return True
        error = error.__cause__
    return False


def origin_of(node: torch.fx.Node) -> str | None:
    """The name of the captured node that a lowered node was made from."""
    custom = node.meta.get("custom") or {}
    return custom.get(ORIGIN)


def copied(graph: torch.fx.Graph) -> torch.fx.Graph:
    """The same nodes with dictionaries of their own, so that marks and later passes do not reach the original."""
    copy = torch.fx.Graph()
    twins: dict[torch.fx.Node, torch.fx.Node] = {}
    for node in graph.nodes:
        twins[node] = copy.node_copy(node, twins.__getitem__)
    return copy


def unrun(owner: Any, graph: torch.fx.Graph) -> torch.fx.GraphModule:
    """A graph as a module that is looked at and not run: torch writes Python code for any other at once."""
    from torch.fx import _lazy_graph_module

    lazy = getattr(_lazy_graph_module, "_LazyGraphModule", torch.fx.GraphModule)
    made: torch.fx.GraphModule = lazy(owner, graph)
    return made


def _with_writes(program: Any) -> torch.fx.Graph:
    """A copy of a program's graph that writes buffers and inputs back itself. A functional program returns the new
    contents instead, for its caller to write."""
    graph = copied(program.graph)
    placeholders = {node.name: node for node in graph.nodes if node.op == "placeholder"}
    by_target = {spec.target: spec.arg.name for spec in program.graph_signature.input_specs if spec.target}
    output = next(iter(reversed(graph.nodes)))
    kept = []
    for value, spec in zip(output.args[0], program.graph_signature.output_specs, strict=True):
        kind = spec.kind.name
        if kind == "BUFFER_MUTATION":
            target = placeholders[by_target[spec.target]]
        elif kind == "USER_INPUT_MUTATION":
            target = placeholders[spec.target]
        else:
            kept.append(value)
            continue
        with graph.inserting_before(output):
            graph.call_function(torch.ops.aten.copy_.default, (target, value)).meta = dict(value.meta)
    output.args = (tuple(kept),)
    return graph


def add_lowered(converter: Converter, captured: Any, compiled: Any = None, device: str | None = None) -> str:
    """Adds the lowered view of a program that a converter has added. It reads the same storages; its nodes have the
    module, source position and origin of the captured node that they were made from. Returns what lowered it.

    ``compiled`` is a program to lower instead: of the same model, which behaves otherwise when it is exported.
    ``device`` is one to lower for instead of the model's own, "cuda" say."""
    source = compiled or captured
    lowered = lower(source, device)
    converter.add_view(lowered, "lowered", _inputs(converter, lowered.graph, source, captured))
    rows = converter.columns.rows
    producer = {node: rows["value_producer"][value] for node, value in converter.value_of.items()}
    twins = _twins(source.graph, captured.graph)
    index_of = {name: producer[twin] for name, twin in twins.items()}
    origins = rows["node_origin"]
    origins[:] = [NONE] * len(rows["node_op"])
    for node in lowered.graph.nodes:
        origin = next((index_of[name] for name in _origins(node) if name in index_of), None)
        if node.op == "call_function" and origin is not None:
            index = producer[node]
            origins[index] = origin
            for column in (rows["node_call"], rows["node_source"]):
                column[index] = column[origin]
    return maker(device)


def _inputs(converter: Converter, lowered: torch.fx.Graph, source: Any, captured: Any) -> dict[str, Input]:
    """What the lowered graph takes: inputs of the captured one, over the same storages, and constants of its own."""
    rows, values = converter.columns.rows, converter.values
    columns = zip(rows["input_value"], rows["input_kind"], rows["input_target"], strict=True)
    signature = {value: (kind, target) for value, kind, target in columns}
    roles = {number: role for role, number in converter.input_kind.items()}
    placeholders = {node.name: node for node in _placeholders(captured.graph)}
    known = {_key(spec): placeholders[spec.arg.name] for spec in captured.graph_signature.input_specs}
    inputs = {}
    for node, spec in zip(_placeholders(lowered), source.graph_signature.input_specs, strict=True):
        original = known.get(_key(spec))
        if original is None:
            inputs[node.name] = Input("constant", spec.target or "")
            continue
        value = converter.value_of[original]
        kind, target = signature[value]
        inputs[node.name] = Input(roles[kind], converter.columns.text(target))
        storage, val = rows["value_storage"][value], node.meta.get("val")
        if storage != NONE and isinstance(val, torch.Tensor):
            values.alias_storage(val, storage)
    return inputs


def _key(spec: Any) -> tuple[str, str]:
    """What an input is, in whatever program of the model: its name or its target."""
    return spec.kind.name, spec.target or spec.arg.name


def _twins(source: torch.fx.Graph, captured: torch.fx.Graph) -> dict[str, torch.fx.Node]:
    """The captured node of each source node, by name: itself, or the equally numbered call of the same operator in
    the same module."""
    places: dict[Any, list[torch.fx.Node]] = {}
    for node in captured.nodes:
        if node.op == "call_function":
            places.setdefault(_place(node), []).append(node)
    rest = {place: iter(nodes) for place, nodes in places.items()}
    found = {}
    for node in source.nodes:
        twin = next(rest.get(_place(node), iter(())), None) if node.op == "call_function" else None
        if twin is not None:
            found[node.name] = twin
    return found


def _place(node: torch.fx.Node) -> tuple[Any, str]:
    stack = node.meta.get("nn_module_stack")
    return node.target, next(reversed(stack.values()))[0] if stack else ""


def _placeholders(graph: torch.fx.Graph) -> list[torch.fx.Node]:
    return [node for node in graph.nodes if node.op == "placeholder"]


def _origins(node: torch.fx.Node) -> Iterator[str]:
    """The node's own mark; of a node that the compiler made itself (writing a buffer back), those of what it reads."""
    for candidate in (node, *reversed(node.all_input_nodes)):
        name = origin_of(candidate)
        if name is not None and candidate.op != "placeholder":
            yield name
