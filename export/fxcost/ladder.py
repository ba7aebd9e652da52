"""The routes to a program, best first: torch.export; a recording of a run, on fake tensors where they will do; where
the model does not run either, torch.export submodule by submodule, as far as the run gets.

A recording is the path that these inputs take. It needs values where the model asks for them (``.item()``, a branch, a
loop, numpy): then it runs on the model's own weights, or on zeros where the model has none.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from .distributed import kind_of, local, reshard, wait
from .errors import FxcostError, reason_of, usage
from .exporter import Capture, capture
from .failures import explain
from .fakes import make_fake, mode_of, modes_shared
from .guard import Noise, Progress, unchanged
from .parts import LACKING, Parts
from .recording import Recording
from .watch import Watch

ROUTES = ("auto", "export", "record", "submodules")
_ZEROS_LIMIT = 8 * 10**9  # bytes of weights that are filled with zeros, to run a model that has none

Method = str | Callable[..., Any] | None
Run = Callable[[Recording | None], None]  # runs the model once, recorded or not


def capture_any(
    model: Any,
    args: Any = (),
    kwargs: dict[str, Any] | None = None,
    dynamic_shapes: Any = None,
    *,
    route: str = "auto",
    method: Method = None,
    name: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Capture:
    """As :func:`fxcost.capture`; where torch.export fails, what the model runs is recorded, and the program says why.
    Where it does not run, for want of something that it asks for, its submodules are exported one by one.

    ``route`` forces one. ``method`` names another method than forward (``"generate"``), or is a function of the same
    inputs; that is always recorded. A recording has no lowered view.
    """
    if route not in ROUTES:
        raise usage(f"route {route!r}: there is no such route", "one of " + ", ".join(ROUTES))
    recordable = isinstance(model, torch.nn.Module) and options.get("mode", "forward") == "forward"
    if not recordable or (route == "export" and method is None):
        if route in ("record", "submodules") or method is not None:
            raise usage("only the forward pass and methods of a torch.nn.Module are recorded", "leave route= out")
        return capture(model, args, kwargs, dynamic_shapes, name=name, progress=progress, **options)
    args = tuple(args) if isinstance(args, (list, tuple)) else (args,)
    attempt = _Attempt(model, args, dict(kwargs or {}), method, name or type(model).__name__, progress or Progress())
    if route == "record" or method is not None:
        if route == "export" or dynamic_shapes is not None:
            raise usage("a recording has no dynamic dimensions and is no export", "leave both out")
        if options.get("lowered"):
            raise usage("a recording has no lowered view", "route='export', or fxcost.compiled()")
        return attempt.record("asked for" if method is None else f"{_text(method)} is not forward")
    if route == "submodules":
        if dynamic_shapes is not None:
            raise usage("submodules are exported on the sizes that they get", "leave dynamic dimensions out")
        return attempt.by_parts("asked for", strict=options.get("strict", False))
    if attempt.spread is not None and dynamic_shapes is None:
        return attempt.record(f"{attempt.spread}: what one device runs")
    try:
        return capture(model, args, kwargs, dynamic_shapes, name=name, progress=progress, **options)
    except FxcostError as error:
        if error.status != "CAPTURE" or dynamic_shapes is not None or options.get("lowered"):
            raise
        why = f"torch.export failed: {reason_of(error)}"
        with contextlib.suppress(FxcostError):
            return attempt.record(why)
        if isinstance(attempt.error, LACKING):  # not a wrong model or wrong inputs
            with contextlib.suppress(FxcostError):
                return attempt.by_parts(why)
        raise error from None  # the model does not run either: what torch.export says of it says more


def _text(method: Method) -> str:
    return method if isinstance(method, str) else str(getattr(method, "__name__", "the function"))


class _Attempt:
    """A model, its inputs, and what is called."""

    def __init__(
        self, model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], method: Method, label: str,
        progress: Progress,
    ) -> None:  # fmt: skip
        self.model, self.args, self.kwargs, self.method = model, args, kwargs, method
        self.label, self.progress = label, progress
        self.error: Exception | None = None  # of the last run
        self.spread = kind_of(list(model.modules()))  # over devices, and how

    def record(self, why: str) -> Capture:
        """On fake tensors; where the model asks for values, on real ones."""
        noise = Noise()
        try:
            for title, _, prepared in self._ways():
                self.progress.stage(f"recording {self.label} on {title}")
                recording = self._recording(f"{why}; run on {title}")
                with unchanged(self.model), noise.collected():
                    try:
                        with prepared() as run:
                            run(recording)
                        return recording.capture
                    except Exception as failed:  # noqa: BLE001  whatever the model raises
                        self.error = failed
            raise self._failure(noise, "by running it") from None
        finally:
            self.progress.done()

    def by_parts(self, why: str, strict: bool = False) -> Capture:
        """Submodule by submodule: on what the whole model runs on, else as far as the first way gets."""
        noise = Noise()
        ways = list(self._ways())
        self.error = None
        try:
            for attempt in [*ways, ways[0]]:
                title, mode, prepared = attempt
                again = self.error is not None and attempt is ways[0]
                if again and not isinstance(self.error, LACKING):
                    break  # the model or its inputs are wrong: what it comes to before that is no answer
                self.progress.stage(f"exporting the submodules of {self.label} on {title}")
                with unchanged(self.model), noise.collected(), prepared() as run:
                    parts = Parts(self.model, mode, strict)
                    parts.survey(run)
                    if parts.error is not None and not (again and parts.plan):
                        self.error = parts.error
                        continue
                    recording = self._recording(f"{why}; {parts.text()}; run on {title}", attempts=True)
                    recording.head |= {"route": "submodules", "parts": parts.summary()}
                    try:
                        parts.record(recording, run)
                        return recording.capture
                    except Exception as failed:  # noqa: BLE001  the second run need not go as the first
                        self.error = failed
            raise self._failure(noise, "by its submodules") from None
        finally:
            self.progress.done()

    def _recording(self, why: str, attempts: bool = False) -> Recording:
        named = named_tensors(self.args, self.kwargs)
        recording = Recording(self.model, self.label, named, attempts=attempts)
        recording.head["why"] = why
        return recording

    def _failure(self, noise: Noise, how: str) -> FxcostError:
        assert self.error is not None
        return explain(self.label, Watch(), self.error, noise.save(self.error), how)

    def _ways(self) -> Iterator[tuple[str, FakeTensorMode | None, Any]]:
        """What the model may run on, cheapest first, with the mode of its fake tensors."""
        tensors = [local(tensor) for tensor in (*self.model.parameters(), *self.model.buffers())]
        fake = [tensor for tensor in tensors if isinstance(tensor, FakeTensor)]
        mode = mode_of(self.model)
        if self.spread is not None:
            shards = "fake shards" if fake else "real shards"
            yield shards, mode if fake else None, lambda: self._on_own(mode if fake else None)
            return
        if not any(tensor.is_meta for tensor in tensors):
            yield "fake tensors", mode, lambda: self._on_fakes(mode)
        if not fake:
            meta = any(tensor.is_meta for tensor in tensors)
            yield ("meta tensors" if meta else "real tensors"), None, self._on_own
        elif sum(tensor.numel() * tensor.element_size() for tensor in fake) <= _ZEROS_LIMIT:
            yield "zeros for weights", None, self._on_zeros

    def _recorded(self, recording: Recording | None, args: Any, kwargs: Any) -> contextlib.AbstractContextManager[Any]:
        if recording is None:
            return contextlib.nullcontext()
        recording.name_inputs(named_tensors(args, kwargs))
        return recording

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What it gives: to be held until the recording has ended, since it is what ran for."""
        if self.method is None:
            result = self.model(*args, **kwargs)
            wait(result)
            return result
        if callable(self.method):
            return self.method(*args, **kwargs)
        if callable(getattr(self.model, self.method, None)):
            return getattr(self.model, self.method)(*args, **kwargs)
        raise usage(f"{type(self.model).__name__} has no method {self.method!r}", "method='generate'")

    @contextlib.contextmanager
    def _on_fakes(self, mode: FakeTensorMode) -> Iterator[Run]:
        make_fake(self.model, mode)  # put back by unchanged()
        args, kwargs = _mapped(_copied((self.args, self.kwargs)), lambda tensor: _faked(tensor, mode))

        def run(recording: Recording | None) -> None:
            with mode, self._recorded(recording, args, kwargs):
                result = self._call(args, kwargs)  # noqa: F841  alive until the recording has ended

        yield run

    @contextlib.contextmanager
    def _on_own(self, mode: FakeTensorMode | None = None) -> Iterator[Run]:
        def run(recording: Recording | None) -> None:
            args, kwargs = _copied((self.args, self.kwargs))  # what is written into inputs is not the caller's
            with mode or contextlib.nullcontext(), self._recorded(recording, args, kwargs):
                result = self._call(args, kwargs)  # noqa: F841  alive until the recording has ended

        try:
            yield run
        finally:
            reshard(self.model)

    @contextlib.contextmanager
    def _on_zeros(self) -> Iterator[Run]:
        made: dict[int, torch.Tensor] = {}
        for module in self.model.modules():  # put back by unchanged()
            registries: tuple[dict[str, Any], ...] = module._parameters, module._buffers
            for registry in registries:
                for key, tensor in registry.items():
                    if isinstance(tensor, FakeTensor):
                        registry[key] = made.setdefault(id(tensor), _zeros(tensor))
        args, kwargs = _mapped((self.args, self.kwargs), lambda tensor: made.setdefault(id(tensor), _zeros(tensor)))

        def run(recording: Recording | None) -> None:
            with self._recorded(recording, args, kwargs):
                result = self._call(args, kwargs)  # noqa: F841  alive until the recording has ended

        yield run


def _zeros(tensor: torch.Tensor) -> torch.Tensor:
    zeros = torch.zeros(tensor.shape, dtype=tensor.dtype)
    return torch.nn.Parameter(zeros, tensor.requires_grad) if isinstance(tensor, torch.nn.Parameter) else zeros


def _faked(tensor: torch.Tensor, mode: FakeTensorMode) -> torch.Tensor:
    return tensor if isinstance(tensor, FakeTensor) else mode.from_tensor(tensor)


def _mapped(value: Any, of: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Other tensors in plain containers; containers of other classes are copies already (_copied)."""
    if isinstance(value, torch.Tensor):
        return of(value)
    if type(value) in (list, tuple):
        return type(value)(_mapped(item, of) for item in value)
    if type(value) is dict:
        return {key: _mapped(item, of) for key, item in value.items()}
    return value


def _copied(value: Any) -> Any:
    try:
        with modes_shared():
            return copy.deepcopy(value)
    except Exception:  # noqa: BLE001  not everything can be copied; then the model gets the caller's own
        return value


def named_tensors(args: Any, kwargs: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Names for the tensors among inputs: keywords, or input, input_1, ..."""
    named: dict[str, torch.Tensor] = {}

    def visit(name: str, value: Any) -> None:
        if isinstance(value, torch.Tensor):
            named[name] = value
        elif isinstance(value, (list, tuple)):
            for index, item in enumerate(value):
                visit(f"{name}_{index}", item)
        elif isinstance(value, dict):
            for key, item in value.items():
                visit(f"{name}_{key}", item)

    for index, value in enumerate(args):
        visit("input" if index == 0 else f"input_{index}", value)
    for key, value in kwargs.items():
        visit(key, value)
    return named
