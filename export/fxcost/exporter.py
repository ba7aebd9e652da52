"""fxcost.capture: a model, an exported program, a .pt2 file or an fx graph becomes a .fxir program."""

from __future__ import annotations

import contextlib
import operator
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from . import pt2
from .caches import caches_known
from .captured import Capture
from .convert import Converter, Input, Output
from .dynamic import export
from .errors import FxcostError, first_line, usage
from .exporting import Exporting
from .failures import explain
from .guard import Noise, Progress, unchanged
from .kernels import kernels_noted
from .lowered import add_lowered
from .params import tensors_of
from .structures import packing, refuse_nested
from .symbolic import SymbolicConverter, keep_names
from .values import is_batched
from .watch import Watch

_ROLE_OF_INPUT = {
    "USER_INPUT": "user_input",
    "PARAMETER": "parameter",
    "BUFFER": "buffer",
    "CONSTANT_TENSOR": "constant",
    "CUSTOM_OBJ": "script_object",
    "TOKEN": "token",
}
_ROLE_OF_OUTPUT = {"LOSS_OUTPUT": "loss"}


# A part of a file beside the captured graph, made of the converter and the exported program; entries for the head.
Part = Callable[[Converter, Any], dict[str, Any]]


def capture(
    model: Any,
    args: Any = (),
    kwargs: dict[str, Any] | None = None,
    dynamic_shapes: Any = None,
    *,
    strict: bool = False,
    name: str | None = None,
    progress: Progress | None = None,
    mode: str = "forward",
    loss: Callable[[Any], torch.Tensor] | None = None,
    lowered: bool | str = False,
    parts: Sequence[Part] = (),
) -> Capture:
    """Captures what a model does on these example inputs.

    ``model`` is a module, a torch.export.ExportedProgram, the path of a .pt2 file, or a torch.fx.GraphModule whose
    nodes carry fake values. The model runs as it is (train or eval, grad mode and autocast of the caller) on fake
    tensors, and is left as it was. Raises FxcostError.

    ``mode="train"`` captures forward and backward of a module: of ``loss(output)`` where a function is given, else of
    the model's own loss, else of the sum of its outputs. Gradients reach what requires them, inputs included.

    ``lowered`` adds the graph that torch's compiler fuses for inference, each node pointing at the one it comes from:
    for the model's own device, or for the one that is named, "cuda" say, which need not be there.
    ``parts`` add to the file of a module what they make of its exported program.
    """
    progress = progress or Progress()
    try:
        if lowered:
            _check_lowerable(model, args, kwargs, mode)
        if mode != "forward":
            return _from_step(model, args, kwargs, dynamic_shapes, name, progress, mode, loss)
        if isinstance(model, (str, os.PathLike)):
            progress.stage("reading")
            program, from_fakes = _load_pt2(Path(model))
            return _from_exported(program, "pt2", name or Path(model).name, lowered, from_fakes)
        if isinstance(model, torch.export.ExportedProgram):
            return _from_exported(model, "exported_program", name or "ExportedProgram", lowered)
        if isinstance(model, torch.fx.GraphModule) and not args and not kwargs:
            return _from_graph(model, name or type(model).__name__, progress)
        if not isinstance(model, torch.nn.Module):
            raise FxcostError(
                f"capture() takes a torch.nn.Module, an ExportedProgram, a GraphModule or a .pt2 path, "
                f"not {type(model).__name__}",
                status="USAGE",
            )
        return _from_module(model, args, kwargs, dynamic_shapes, strict, name, progress, lowered, parts)
    finally:
        progress.done()


def _check_lowerable(model: Any, args: Any, kwargs: Any, mode: str) -> None:
    if mode != "forward" or (isinstance(model, torch.fx.GraphModule) and not args and not kwargs):
        raise usage(
            "lowered=True takes a module with inputs, an ExportedProgram or a .pt2 file, for inference",
            "fxcost.compiled() for what torch.compile runs, training steps too",
        )


def _device(lowered: bool | str) -> str | None:
    return lowered if isinstance(lowered, str) else None


# ---- routes ---------------------------------------------------------------------------------------------------------


def _from_module(
    model: torch.nn.Module,
    args: Any,
    kwargs: Any,
    dynamic_shapes: Any,
    strict: bool,
    name: str | None,
    progress: Any,
    lowered: bool | str = False,
    parts: Sequence[Part] = (),
) -> Capture:
    args = tuple(args) if isinstance(args, (list, tuple)) else (args,)
    label = name or type(model).__name__
    watch, noise = Watch(), Noise()
    state = ambient()
    progress.stage(f"capturing {label}")
    refuse_nested(args, kwargs)
    with unchanged(model), noise.collected():
        try:
            exporting = Exporting()
            with (
                caches_known(model),
                kernels_noted(),
                watch.running(None if strict else model),
                packing(model, args, kwargs, strict) as inputs,
                exporting.answered(denied=False),
            ):
                program = export(model, *inputs, dynamic_shapes, strict)
            dialect = "training"
            if _holds_functorch(program.graph_module):
                program, dialect = program.run_decompositions({}), "functional"
        except FxcostError as error:
            failure: Exception = error
        except Exception as error:  # noqa: BLE001  anything the model or torch raises is a failed capture
            failure = explain(label, watch, error, noise.save(error))
        else:
            progress.stage(f"writing {label}")
            if isinstance(model, torch.fx.GraphModule):
                keep_names(program.graph)
            converter = Converter(model.training)
            converter.modules.add_model(model)
            converter.calls.record(watch.calls)
            _add_exported(converter, program, model)
            converter.link_calls(watch.calls)
            head = {"model": label, "route": "export", "dialect": dialect, "strict": strict, **state}
            if lowered:
                progress.stage(f"lowering {label}")
                compiled = _as_compiled(model, args, kwargs, dynamic_shapes, strict) if exporting.asked else None
                head["lowered"] = add_lowered(converter, program, compiled, _device(lowered))
            for part in parts:
                head |= part(converter, program)
            return finish(converter, program.graph_module, head, model.training, label)
    raise failure


def _as_compiled(model: torch.nn.Module, args: Any, kwargs: Any, dynamic_shapes: Any, strict: bool) -> Any:
    """The program of a model that takes itself for compiled rather than exported; None where that cannot be had."""
    with (
        contextlib.suppress(Exception),
        caches_known(model),
        kernels_noted(),
        packing(model, args, kwargs, strict) as inputs,
        Exporting().answered(denied=True),
    ):
        return export(model, *inputs, dynamic_shapes, strict)
    return None


def _from_step(
    model: Any, args: Any, kwargs: Any, dynamic_shapes: Any, name: str | None, progress: Progress, mode: str, loss: Any
) -> Capture:
    from .joint import capture_step

    if mode != "train":
        raise FxcostError(f"mode={mode!r}\n  expected: 'forward' or 'train'", status="USAGE")
    if not isinstance(model, torch.nn.Module):
        raise FxcostError(
            f"mode='train' takes a torch.nn.Module, not {type(model).__name__}\n"
            "  expected: a model that autograd can run; a captured program holds its forward pass only",
            status="USAGE",
        )
    if dynamic_shapes is not None:
        raise FxcostError(
            "mode='train' captures at the sizes of the example inputs\n  expected: no dynamic dimensions",
            status="USAGE",
        )
    args = tuple(args) if isinstance(args, (list, tuple)) else (args,)
    label = name or type(model).__name__
    watch, noise = Watch(), Noise()
    progress.stage(f"capturing a training step of {label}")
    with unchanged(model), noise.collected():
        try:
            return capture_step(model, args, kwargs or {}, loss, label)
        except FxcostError as error:
            failure: Exception = error
        except Exception as error:  # noqa: BLE001  anything the model or torch raises is a failed capture
            failure = explain(label, watch, error, noise.save(error), "as a training step on fake tensors")
    raise failure


def _from_exported(program: Any, route: str, label: str, lowered: bool | str, from_fakes: bool = False) -> Capture:
    functional = program.verifier.dialect != "TRAINING"
    training = _trains(program.graph)
    converter = Converter(training)
    converter.modules.add("", "")
    for entry in program.module_call_graph:
        converter.modules.add(entry.fqn.partition("@")[0], "")
    _add_exported(converter, program, None, real_storages=not from_fakes)
    head: dict[str, Any] = {"model": label, "route": route, "dialect": "functional" if functional else "training"}
    head |= {"grad": _records_gradients(program.graph), "autocast": {}}
    if lowered:
        head["lowered"] = add_lowered(converter, program, device=_device(lowered))
    return finish(converter, program.graph_module, head, training, label)


def _from_graph(module: torch.fx.GraphModule, label: str, progress: Progress) -> Capture:
    calls = [node for node in module.graph.nodes if node.op.startswith("call")]
    if calls and not any("val" in node.meta or "example_value" in node.meta for node in calls):
        return _from_symbolic(module, label, progress)
    inputs = [
        node.meta.get("val", node.meta.get("example_value")) for node in module.graph.find_nodes(op="placeholder")
    ]
    if not _is_aten(module.graph) and all(isinstance(val, torch.Tensor) for val in inputs):
        # Calls of torch's own functions say less than ATen's operators: torch.export turns one into the other.
        with contextlib.suppress(FxcostError):
            return _from_module(module, inputs, None, None, False, label, progress)
    training = _trains(module.graph)
    converter = Converter(training)
    converter.modules.add_model(module)
    converter.add_graphs(module, {}, [])
    head = {"model": label, "route": "fx", "dialect": "fx", "grad": _records_gradients(module.graph), "autocast": {}}
    return finish(converter, module, head, training, label)


def _from_symbolic(module: torch.fx.GraphModule, label: str, progress: Progress) -> Capture:
    """A graph without shapes, as torch.fx.symbolic_trace gives it: nothing runs, sizes come with the analysis."""
    progress.stage(f"writing {label}")
    converter = SymbolicConverter(module.training)
    with unchanged(module):
        opened = converter.add(module)
    converter.params.add_unused(tensors_of(module))
    head = {"model": label, "route": "symbolic_trace", "dialect": "fx", **ambient()}
    return finish(converter, opened, head, module.training, label)


def _is_aten(graph: torch.fx.Graph) -> bool:
    for node in graph.nodes:
        if node.op in ("call_module", "call_method"):
            return False
        if node.op == "call_function" and not isinstance(
            node.target, (torch._ops.OpOverload, torch._ops.HigherOrderOperator)
        ):
            val = node.meta.get("val", node.meta.get("example_value"))
            if isinstance(val, torch.Tensor) and node.target is not operator.getitem:
                return False
    return True


def _load_pt2(path: Path) -> tuple[Any, bool]:
    """The program in an archive, and whether it was made from fake tensors."""
    if not path.is_file():
        raise FxcostError(f"{path}: no such file", status="IO")
    noise = Noise()
    with noise.collected():
        try:
            program, fake = pt2.read(path)
            _restore_storages(program)
            return program, fake
        except Exception as error:  # noqa: BLE001  the loader raises errors of many kinds
            reason, log = first_line(error), noise.save(error)
    raise FxcostError(
        f"{path}: not a program that torch.export.save wrote, or one that torch {torch.__version__} does not read\n"
        f"  reason: {reason}\n  found:  schema {pt2.version(path)}\n  log:    {log}",
        status="CAPTURE",
        log=log,
    )


def _restore_storages(program: Any) -> None:
    """A .pt2 file keeps no storages, so that views have one of their own each: fake tensors find them again."""
    from torch._guards import detect_fake_mode
    from torch.fx.passes.fake_tensor_prop import FakeTensorProp

    nodes = [node for node in program.graph.nodes if "val" in node.meta]
    before = [node.meta["val"] for node in nodes]
    mode = detect_fake_mode([val for val in before if isinstance(val, torch.Tensor)])
    if mode is None:
        return
    try:
        inputs = [node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"]
        FakeTensorProp(program.graph_module, mode).propagate_dont_convert_inputs(*inputs)
    except Exception:  # noqa: BLE001  what was recorded is right but for the storages, so it stays
        for node, val in zip(nodes, before, strict=True):
            node.meta["val"] = val


# ---- parts ----------------------------------------------------------------------------------------------------------


def ambient() -> dict[str, Any]:
    """Grad mode, and the autocast that surrounds the capture, of which the graph keeps no trace."""
    autocast = {
        device: torch.get_autocast_dtype(device)
        for device in ("cpu", "cuda", "mps", "xpu")
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    }
    return {"grad": torch.is_grad_enabled(), "autocast": autocast}


def unusual_default() -> dict[str, torch.dtype]:
    """The default dtype where it is not torch's own, for the head of a program."""
    default = torch.get_default_dtype()
    return {} if default == torch.float32 else {"default_dtype": default}


def _holds_functorch(module: torch.fx.GraphModule) -> bool:
    """Whether vmap's or other transforms' internals are in a graph: their values are no tensors of the model."""
    for part in module.modules():
        if not isinstance(part, torch.fx.GraphModule):
            continue
        for node in part.graph.nodes:
            if node.op != "call_function":
                continue
            if is_batched(node.meta.get("val")) or "functorch" in (getattr(node.target, "__module__", None) or ""):
                return True
    return False


def _trains(graph: torch.fx.Graph) -> bool:
    """Whether an operator of a graph was told that it is training: all that a graph without its model says of it."""
    return any(constant_argument(node, "training") is True for node in graph.nodes if node.op == "call_function")


def _records_gradients(graph: torch.fx.Graph) -> bool:
    vals = (node.meta.get("val") for node in graph.nodes if node.op == "call_function")
    return any(isinstance(val, torch.Tensor) and val.requires_grad for val in vals)


def constant_argument(node: torch.fx.Node, name: str) -> Any:
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return None
    for position, argument in enumerate(schema.arguments):
        if argument.name == name:
            return node.args[position] if position < len(node.args) else node.kwargs.get(name)
    return None


def _add_exported(
    converter: Converter, program: Any, model: torch.nn.Module | None, real_storages: bool = True
) -> None:
    """``real_storages``: whether parameters that share a storage are tied. An archive made from fake tensors puts all
    of them on one."""
    inputs: dict[str, Input] = {}
    for spec in program.graph_signature.input_specs:
        role = _ROLE_OF_INPUT.get(spec.kind.name, "opaque")
        target = spec.target or ""
        tensor = None
        if role in ("parameter", "buffer", "constant"):
            tensor = program.state_dict.get(target, program.constants.get(target))
        name = getattr(spec.arg, "name", "")
        inputs[name] = Input(role, target, tensor, spec.persistent is not False, real_storages)
    outputs = [
        Output(_ROLE_OF_OUTPUT.get(spec.kind.name, spec.kind.name.lower()), spec.target or "")
        for spec in program.graph_signature.output_specs
    ]
    converter.add_graphs(program.graph_module, inputs, outputs)
    converter.symbols.constraints(program.range_constraints)
    converter.params.add_unused(_tensors_of(program, model))


def _tensors_of(program: Any, model: torch.nn.Module | None) -> dict[str, tuple[str, torch.Tensor, bool]]:
    if model is None:
        return {
            name: ("parameter" if isinstance(tensor, torch.nn.Parameter) else "buffer", tensor, True)
            for name, tensor in program.state_dict.items()
            if isinstance(tensor, torch.Tensor)
        }
    return tensors_of(model)


def finish(
    converter: Converter, graph: torch.fx.GraphModule, head: dict[str, Any], training: bool, label: str
) -> Capture:
    from . import __version__

    entries = {
        "producer": f"fxcost {__version__}",
        "torch": torch.__version__,
        "python": platform.python_version(),
        **head,
        "training": training,
        "inputs": _describe_inputs(converter, graph),
        "dtype": converter.params.main_dtype(),
        **unusual_default(),
    }
    for key, value in entries.items():
        converter.capture_entry(key, value)
    return Capture(converter.columns.to_bytes(), label)


def _describe_inputs(converter: Converter, graph: torch.fx.GraphModule) -> str:
    """The user's inputs for people: "input_ids i64[1, 128], attention_mask i64[1, 128]"."""
    from torch.utils._dtype_abbrs import dtype_abbrs

    rows, texts = converter.columns.rows, []
    user = converter.input_kind["user_input"]
    roles = dict(zip(rows["input_value"], rows["input_kind"], strict=True))
    for node in graph.graph.nodes:
        if node.op != "placeholder" or roles.get(converter.value_of[node]) != user:
            continue
        val = node.meta.get("val", node.meta.get("example_value"))
        if isinstance(val, torch.Tensor):
            sizes = ", ".join(converter.symbols.text(size) for size in val.shape)
            texts.append(f"{node.target} {dtype_abbrs.get(val.dtype, str(val.dtype))}[{sizes}]")
        elif val is not None:
            texts.append(f"{node.target}={val}")
        elif "val" not in node.meta:
            texts.append(f"{node.target} ?[?]")  # sizes come with the analysis
    return ", ".join(texts)
