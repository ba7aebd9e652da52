"""fxcost.compiled: the graphs that torch.compile fuses in a ``with`` block, as programs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch

from .columns import NONE
from .convert import Converter, Output
from .enums import bits
from .errors import FxcostError
from .exporter import Capture, ambient, finish
from .lowered import Lowering, caught, is_stop, maker


@contextlib.contextmanager
def compiled(*, generate: bool = True) -> Iterator[list[Capture]]:
    """Collects what torch.compile's default backend compiles meanwhile, a program for each graph, in order: graphs of
    inference, or the forward and the backward graph of a training step. Their one graph has the view ``lowered``.

        with fxcost.compiled() as programs:
            torch.compile(model)(x)
        programs[0].save("model.fxir")

    The list is filled when the block ends. What was compiled before is not compiled again: ``torch.compiler.reset()``
    forgets it. Without ``generate`` no code is generated: the graphs run eagerly, and no C++ compiler is needed.
    """
    from torch._functorch import config as functorch_config
    from torch._inductor import config

    programs: list[Capture] = []
    state = ambient()
    with (
        caught(stop=not generate) as found,
        contextlib.nullcontext() if generate else _run_eagerly(),
        config.patch(fx_graph_cache=False, fx_graph_remote_cache=False),
        functorch_config.patch(enable_autograd_cache=False),
    ):
        yield programs
    counts: dict[str, int] = {}
    for lowering in found:
        number = counts[lowering.part] = counts.get(lowering.part, 0) + 1
        programs.append(_program(lowering, f"{lowering.part} {number}", state))


def dynamo_backend(graph: torch.fx.GraphModule, inputs: Any, **kwargs: Any) -> Any:
    """The entry point of ``torch.compile(model, backend="fxcost")``: docs/compiler.md."""
    from .compiler import fxcost

    return fxcost(graph, inputs, **kwargs)


def _program(lowering: Lowering, label: str, state: dict[str, Any]) -> Capture:
    return program_of(lowering.module, lowering.part, label, state, "lowered")


def program_of(module: torch.fx.GraphModule, part: str, label: str, state: dict[str, Any], view: str) -> Capture:
    """The program of a graph that a compiler holds. ``view`` is lowered, as Inductor fuses it, or captured."""
    converter = converter_of(module, part, view)
    head = {"model": label, "route": "compiled", **state}
    head |= {"dialect": "lowered", "lowered": maker()} if view == "lowered" else {"dialect": "functional"}
    return finish(converter, module, head, part != "inference", label)


def converter_of(module: torch.fx.GraphModule, part: str, view: str) -> Converter:
    """The rows of such a program, to which others can be added before it is finished."""
    graph, backward = module.graph, part == "backward"
    for node in graph.nodes:  # a node of the backward pass belongs to the module that it differentiates
        if "nn_module_stack" not in node.meta and "fwd_nn_module_stack" in node.meta:
            node.meta["nn_module_stack"] = node.meta["fwd_nn_module_stack"]
    converter = Converter(part != "inference")
    converter.modules.add("", "")
    converter.add_main(module, view, {}, _outputs(graph, backward))
    rows = converter.columns.rows
    if backward:
        flag = bits("node_flag")["backward"]
        rows["node_flags"][:] = [flags | flag for flags in rows["node_flags"]]
    if view == "lowered":
        rows["node_origin"][:] = [NONE] * len(rows["node_op"])
    return converter


def _outputs(graph: torch.fx.Graph, backward: bool) -> list[Output]:
    """A backward graph returns gradients; what they are gradients of has no name here. A forward graph also returns
    what the backward graph needs: the compiler notes which of its outputs somebody else sees."""
    output = next(iter(reversed(graph.nodes)))
    (returned,) = output.args
    values = returned if isinstance(returned, (list, tuple)) else (returned,)
    if backward:
        return [Output("gradient_to_user_input" if value is not None else "user_output") for value in values]
    seen = output.meta.get("user_visible_output_idxs", range(len(values)))
    return [Output("user_output" if index in seen else "saved") for index in range(len(values))]


@contextlib.contextmanager
def _run_eagerly() -> Iterator[None]:
    """A graph that is caught is not compiled: it runs as it is."""
    from torch._functorch.aot_autograd import make_boxed_func
    from torch._inductor import compile_fx as module

    compile_fx: Any = module
    stock = getattr(compile_fx, "_compile_fx_inner", None)
    if stock is None:
        raise FxcostError(
            "fxcost.compiled(generate=False)\n  expected: torch._inductor.compile_fx._compile_fx_inner\n"
            f"  found: torch {torch.__version__} without it\n  leave generate=False out",
            status="CAPTURE",
        )

    def inner(graph: torch.fx.GraphModule, *args: Any, **kwargs: Any) -> Any:
        try:
            return stock(graph, *args, **kwargs)
        except Exception as error:
            if not is_stop(error):
                raise
            return make_boxed_func(graph.forward)

    with mock.patch.object(compile_fx, "_compile_fx_inner", inner):
        yield
