"""Model arguments of the command line.

``FILE.py[:NAME]``, ``package.module:NAME``, ``hf:MODEL_TYPE``, ``hf:PATH/config.json``, ``timm:NAME``,
``torchvision:NAME``, ``FILE.pt2``, or a checkpoint file (.pth, .pt, .bin, .ckpt, .safetensors).
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from .checkpoints import check_fit, is_checkpoint, next_step
from .checkpoints import read as read_checkpoint
from .dynamic import dynamic_shapes
from .errors import FxcostError, first_line, usage
from .exporter import Capture, capture
from .guard import Noise, Progress
from .hf_inputs import labels_of
from .inputs import expected, with_inputs
from .ladder import capture_any
from .options import Options, dtype_named, parse_call
from .symbolic import traced

_SHAPE = "a function that returns (module, inputs), (module, args, kwargs) or (module, args, kwargs, dynamic_shapes)"


@dataclass
class Model:
    """A model and its example inputs, ready for capture; ``module`` is a path for a .pt2 file."""

    name: str
    module: Any
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    dynamic_shapes: Any = None
    mode: FakeTensorMode | None = None  # of a model without weights

    def capture(
        self,
        *,
        train: bool = False,
        grad: bool = False,
        strict: bool = False,
        fx: bool = False,
        route: str = "auto",
        method: str | None = None,
        mode: str = "forward",
        input_grad: bool = False,
        lowered: bool | str = False,
        progress: Progress | None = None,
    ) -> Capture:
        """Captures as the command line does: eval and without gradients, unless told otherwise. ``fx``: by torch.fx's
        symbolic trace, which takes no inputs and gives no shapes. ``mode="train"``: forward and backward, with
        ``input_grad`` of the floating-point inputs too. ``lowered``: with the graph that the compiler fuses."""
        if mode == "forward" and not isinstance(self.module, torch.nn.Module):
            return capture(self.module, name=self.name, progress=progress, lowered=lowered)
        if isinstance(self.module, torch.nn.Module) and not isinstance(self.module, torch.fx.GraphModule):
            self.module.train(train)
        if mode == "train":
            if input_grad:
                self.args, self.kwargs = torch.utils._pytree.tree_map(_requiring_grad, (self.args, self.kwargs))
            kwargs = self.kwargs | labels_of(self.module, self.kwargs)
            inputs = self.args, kwargs, self.dynamic_shapes
            return capture(self.module, *inputs, mode=mode, name=self.name, progress=progress, lowered=lowered)
        with torch.enable_grad() if grad else torch.no_grad():
            if fx:
                return capture(traced(self.module, self.name), name=self.name, progress=progress, lowered=lowered)
            kwargs = self.kwargs
            if method is not None:
                method, given = parse_call(method)
                cached = {"use_cache": True} if method == "generate" else {}  # hf: models are built without
                kwargs = {**kwargs, **cached, **given}
            return capture_any(
                self.module,
                self.args,
                kwargs,
                self.dynamic_shapes,
                route=route,
                method=method,
                strict=strict,
                lowered=lowered,
                name=self.name,
                progress=progress,
            )


def _requiring_grad(leaf: Any) -> Any:
    if isinstance(leaf, torch.Tensor) and (leaf.is_floating_point() or leaf.is_complex()):
        return leaf.detach().requires_grad_()
    return leaf


def load(spec: str, options: Options | None = None, progress: Progress | None = None) -> Model:
    """The model that a command-line argument names. Raises FxcostError."""
    options = options or Options()
    progress = progress or Progress()
    progress.stage(f"building {spec}")
    noise = Noise()
    try:
        with noise.collected():
            model = _load(spec, options)
            if options.inputs:
                with model.mode or contextlib.nullcontext():
                    model.args, model.kwargs = with_inputs(options.inputs, model.module, model.args, model.kwargs)
            if options.dynamic:
                model.dynamic_shapes = dynamic_shapes(options.dynamic, model.module, model.args, model.kwargs)
            return model
    finally:
        progress.done()


def _load(spec: str, options: Options) -> Model:
    if spec.startswith("hf:"):
        from . import hf

        module, kwargs, name, mode = hf.build(spec[3:], options)
        return Model(name, module, (), dict(kwargs), mode=mode)
    if spec.startswith(("timm:", "torchvision:")):
        from . import zoo

        package, _, name = spec.partition(":")
        module, args, label, mode = zoo.build(package, name, options)
        return Model(label, module, args, mode=mode)
    if is_checkpoint(spec):
        return _from_checkpoint(spec, options)
    if spec.endswith(".pt2"):
        _refuse_options(spec, options)
        if not Path(spec).is_file():
            raise FxcostError(f"{spec}: no such file", status="IO")
        return Model(Path(spec).name, Path(spec))
    source, separator, name = spec.rpartition(":")
    if not separator:
        source, name = spec, ""
    if source.endswith(".py"):
        found = _from_file(Path(source), name or "model")
    elif separator and source:
        found = _from_module(source, name)
    else:
        raise usage(
            f"{spec}: no model argument",
            "FILE.py[:NAME], package.module:NAME, hf:MODEL_TYPE, timm:NAME, torchvision:NAME, FILE.pt2, "
            "FILE.pth, .pt, .bin, .ckpt, .safetensors or FILE.fxir",
        )
    return _call(spec, found, options)


def _from_checkpoint(spec: str, options: Options) -> Model:
    """The model that a checkpoint file is for: named by the user, or inside a pickle that the user trusts."""
    found = read_checkpoint(Path(spec))
    if found.kind == "pt2":
        _refuse_options(spec, options)
        return Model(Path(spec).name, Path(spec))
    if options.architecture:
        model = _load(options.architecture, dataclasses.replace(options, architecture=None))
        check_fit(found, options.architecture, model.module)
        model.name = f"{model.name} for {Path(spec).name}"
        return model
    if not options.trust_pickle or found.kind != "module":
        raise FxcostError(next_step(found))
    folder = str(Path(spec).resolve().parent)
    with _import_path("."), _import_path(folder):
        module = _execute(spec, lambda: torch.load(spec, map_location="cpu", weights_only=False))
    if isinstance(module, dict):
        module = next((value for value in module.values() if isinstance(value, torch.nn.Module)), None)
    model = _unpack(spec, module, options)
    model.name = f"{type(module).__name__} ({Path(spec).name})"
    return model


def _refuse_options(spec: str, options: Options) -> None:
    if options != Options(real=options.real):
        raise usage(
            f"{spec}: --input, --batch, --seq, --image, --dtype, --dynamic and --set do not apply to a captured program"
        )


# ---- where functions come from --------------------------------------------------------------------------------------


def _from_file(path: Path, name: str) -> Any:
    if not path.is_file():
        raise FxcostError(f"{path}: no such file", status="IO")
    module_name = f"fxcost_model_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise usage(f"{path}: Python cannot import it", "a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses and pickling look their module up
    with _import_path(str(path.resolve().parent)):
        _execute(str(path), lambda: spec.loader.exec_module(module))  # type: ignore[union-attr]
    return _attribute(module, name, str(path))


def _from_module(source: str, name: str) -> Any:
    importlib.invalidate_caches()
    with _import_path(os.getcwd()):
        module = _execute(source, lambda: importlib.import_module(source))
    return _attribute(module, name, source)


@contextlib.contextmanager
def _import_path(folder: str) -> Any:
    """Files beside the model's own can be imported."""
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)


def _execute(what: str, action: Any) -> Any:
    """User code: its error in two lines, with the line of the user's own that raised it."""
    try:
        return action()
    except FxcostError:
        raise
    except Exception as error:  # noqa: BLE001  user code raises what it likes
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
        place = f" at {frames[-1].filename}:{frames[-1].lineno}" if len(frames) > 1 else ""
        raise FxcostError(
            f"{what}: {type(error).__name__}{place}\n  reason: {first_line(error)}", status="CAPTURE"
        ) from None


def _attribute(module: Any, name: str, source: str) -> Any:
    found = module
    for part in name.split("."):
        found = getattr(found, part, None)
        if found is None:
            functions = [key for key, value in vars(module).items() if inspect.isfunction(value) and key[0] != "_"]
            raise usage(f"{source}: it has no {name!r}", f"{source}:NAME with one of {', '.join(functions) or 'none'}")
    return found


# ---- what functions return ------------------------------------------------------------------------------------------


def _call(spec: str, found: Any, options: Options) -> Model:
    if isinstance(found, torch.nn.Module):
        result = found
    elif callable(found):
        given = _accepted(spec, found, options)
        result = _execute(spec, lambda: found(**given))
    else:
        raise usage(f"{spec} is a {type(found).__name__}; expected {_SHAPE}")
    model = _unpack(spec, result, options)
    dtype = dtype_named(options.dtype)
    if dtype is not None and isinstance(model.module, torch.nn.Module):
        model.module.to(dtype)
        model.args, model.kwargs = torch.utils._pytree.tree_map(
            lambda leaf: leaf.to(dtype) if isinstance(leaf, torch.Tensor) and leaf.is_floating_point() else leaf,
            (model.args, model.kwargs),
        )
    return model


def _accepted(spec: str, function: Any, options: Options) -> dict[str, Any]:
    """The options as arguments of a function that takes them by name; one that it does not take is an error."""
    wanted = {"batch": options.batch, "seq": options.seq, "image": options.image, **options.settings}
    wanted = {key: value for key, value in wanted.items() if value is not None or key in options.settings}
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return dict(options.settings) if isinstance(function, type) else wanted
    sizes_for_inputs = {"batch", "seq", "image"}
    for key in wanted:
        if key not in parameters and key not in sizes_for_inputs:
            raise usage(f"{spec} takes no argument {key!r}", f"its arguments are ({', '.join(parameters)})")
    return {key: value for key, value in wanted.items() if key in parameters}


def _unpack(spec: str, result: Any, options: Options) -> Model:
    if isinstance(result, torch.export.ExportedProgram):
        return Model(spec, result)
    if isinstance(result, torch.nn.Module):
        return Model(spec, result, () if options.fx or options.inputs else _invented_inputs(spec, result, options))
    if isinstance(result, dict) and "module" in result:
        extra = set(result) - {"module", "args", "kwargs", "dynamic_shapes"}
        if extra:
            raise usage(f"{spec} returned a dict with {', '.join(sorted(extra))}; expected {_SHAPE}")
        parts = [result["module"], result.get("args", ()), result.get("kwargs"), result.get("dynamic_shapes")]
    elif isinstance(result, tuple) and 2 <= len(result) <= 4:
        parts = [*result, None, None, None][:4]
    else:
        raise usage(f"{spec} returned {_describe(result)}; expected {_SHAPE}")
    module, args, kwargs, dynamic_shapes = parts
    if not isinstance(module, torch.nn.Module):
        raise usage(f"{spec} returned {_describe(module)} as the module; expected {_SHAPE}")
    if isinstance(args, dict) and kwargs is None:
        args, kwargs = (), args
    if isinstance(args, torch.Tensor) or not isinstance(args, (tuple, list)):
        args = (args,)
    if kwargs is not None and not isinstance(kwargs, dict):
        raise usage(f"{spec} returned {_describe(kwargs)} as kwargs; expected {_SHAPE}")
    return Model(spec, module, tuple(args), dict(kwargs or {}), dynamic_shapes)


def _invented_inputs(spec: str, module: torch.nn.Module, options: Options) -> tuple[Any, ...]:
    """For a bare module the sizes say what it reads: --image an image, --seq tokens."""
    batch = options.batch or 1
    if isinstance(module, torch.fx.GraphModule) and options == Options(real=options.real):
        return ()
    if options.image:
        height, width = (options.image, options.image) if isinstance(options.image, int) else options.image
        return (torch.zeros(batch, 3, height, width),)
    if options.seq:
        return (torch.zeros(batch, options.seq, dtype=torch.int64),)
    raise usage(
        f"{spec} gives a module without inputs\n  expected: {expected(module)}",
        "--input 'x=f32[1,3,224,224]' for each, --image N, --seq N, or a function that returns (module, inputs)",
    )


def _describe(value: Any) -> str:
    if isinstance(value, tuple):
        return f"a tuple of {len(value)} ({', '.join(type(item).__name__ for item in value)})"
    return "None" if value is None else f"a {type(value).__name__}"
