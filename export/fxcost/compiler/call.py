"""One call of an operator as a program: what torch asks about single operators, the library answers."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils import _pytree as pytree

from ..binding import Analysis, Program
from ..compiling import program_of
from ..exporter import ambient, constant_argument
from ..lowered import unrun

# Sizes repeat in a model; a program with many different ones must not fill the memory.
_KEPT = 4096
_programs: dict[Any, Program] = {}


def of_node(node: torch.fx.Node) -> Program:
    """The call that a node of a graph of operators is, its tensors being those of ``meta["val"]``."""
    args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda argument: argument.meta.get("val"))
    return of_call(node.target, args, kwargs, node.meta.get("val"))


def draws(node: torch.fx.Node) -> bool:
    """Whether a node takes from a generator of random numbers. Attention has the tag for a dropout that may be 0."""
    if torch.Tag.nondeterministic_seeded not in getattr(node.target, "tags", ()):
        return False
    schema: Any = getattr(node.target, "_schema", None)
    drops = any(argument.name == "dropout_p" for argument in schema.arguments)
    return not drops or constant_argument(node, "dropout_p") not in (None, 0.0)


def of_call(target: Any, args: Any, kwargs: dict[str, Any], result: Any) -> Program:
    """A program of one node. Tensors are looked at for their sizes only."""
    leaves, spec = pytree.tree_flatten((args, kwargs, result))
    key = target, spec, tuple(_key(leaf) for leaf in leaves)
    program = _programs.get(key)
    if program is None:
        if len(_programs) >= _KEPT:
            _programs.clear()
        program = _programs[key] = _program(target, leaves, spec)
    return program


def _program(target: Any, leaves: list[Any], spec: Any) -> Program:
    graph = torch.fx.Graph()

    def placed(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        node = graph.placeholder(f"operand{len(graph.nodes)}")
        node.meta["val"] = value
        return node

    with torch.utils._python_dispatch._disable_current_modes():
        args, kwargs, result = pytree.tree_unflatten([_bare(leaf) for leaf in leaves], spec)
        args, kwargs = pytree.tree_map(placed, (args, kwargs))
        node = graph.call_function(target, tuple(args), kwargs)
        node.meta["val"] = result
        graph.output(node)
        captured = program_of(unrun({}, graph), "inference", str(target), ambient(), "captured")
    return Program.from_bytes(captured.to_bytes(), str(target))


def _key(leaf: Any) -> Any:
    if not isinstance(leaf, torch.Tensor):
        return type(leaf), str(leaf)
    layout = tuple(map(str, leaf.stride())) if leaf.layout is torch.strided else ()
    return tuple(map(str, leaf.shape)), layout, leaf.dtype, leaf.device.type


def _bare(leaf: Any) -> Any:
    """The sizes of a tensor without its numbers, so that a cached program keeps no memory alive."""
    if isinstance(leaf, torch.Tensor) and not isinstance(leaf, torch._subclasses.FakeTensor):
        return torch.empty_strided(leaf.shape, leaf.stride(), dtype=leaf.dtype, device="meta")
    return leaf


def counts(program: Program) -> Any:
    """``fxc_counts`` of one run; None where the library has no formula."""
    totals = Analysis(program).totals()
    return None if totals.unknown_nodes else totals.counts


def matrix_flops(program: Program) -> int | None:
    """FLOPs of matrix products and convolutions, 2 a multiply-add; None where the library has no formula."""
    found = counts(program)
    return None if found is None else int(found.matrix_flops)
