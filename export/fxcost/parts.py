"""Per-submodule export: each part of a model on the inputs that it gets in the run, the rest as it runs.

Where torch.export takes a submodule, its graph stands in the program for the call. What is left is recorded: the code
between submodules, and submodules that do not export. A submodule that neither exports nor runs is opaque: an operator
of its class, without a formula. The program ends there, and what was never reached is named.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
    UnsupportedFakeTensorException,
    UnsupportedOperatorException,
)
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import _disable_current_modes

from .dynamic import export
from .errors import first_line
from .recording import Recording
from .recording.graphs import check_fits, outputs
from .structures import is_plain, pack, packing, unpack

# Failures that say what torch cannot do here, not that the model or its inputs are wrong.
LACKING = (
    NotImplementedError,
    ModuleNotFoundError,
    UnsupportedOperatorException,
    UnsupportedFakeTensorException,
    DataDependentOutputException,
    DynamicOutputShapeException,
)
_NAMED = 4  # parts that the line of a report names


@dataclass
class Part:
    """What became of one call of a submodule: ``export``, ``record`` or ``opaque``, and why."""

    path: str
    route: str = "record"
    why: str = ""
    program: Any = None
    result: Any = None  # of an exported call, for what runs after it


class Parts:
    """Decides part by part in a first run, and puts the graphs in place of calls in a second one, which is recorded.
    ``mode`` is that of the fake tensors that the model runs on, if it does."""

    def __init__(self, model: torch.nn.Module, mode: FakeTensorMode | None, strict: bool = False) -> None:
        self.model, self.mode, self.strict = model, mode, strict
        self.paths = {id(module): path for path, module in reversed(list(model.named_modules()))}
        self.plan: list[Part] = []
        self.error: Exception | None = None
        self._failed: Part | None = None
        self._at = 0

    def survey(self, run: Callable[[Recording | None], None]) -> None:
        """The first run, without a recording. What stops it is kept: the second run stops there too."""
        try:
            with self._calls_through(self._decide):
                run(None)
        except Exception as error:  # noqa: BLE001  whatever the model raises
            self.error = error

    def record(self, recording: Recording, run: Callable[[Recording | None], None]) -> None:
        """The second run, recorded."""

        def replace(module: torch.nn.Module, args: Any, kwargs: Any, call: Callable[[], Any]) -> Any:
            part = self.plan[self._at]
            self._at += 1
            if part.program is not None:
                results = pytree.tree_leaves(_packed(part.result))
                recording.add_graph(module, part.program, pytree.tree_leaves(_packed((args, kwargs))), results)
                return part.result
            try:
                return call()
            except Exception:
                if part is self._failed:
                    recording.add_opaque(module)
                raise

        self._at = 0
        try:
            with self._calls_through(replace):
                run(recording)
        except Exception:  # noqa: BLE001
            if self.error is None:
                raise

    # ---- what is said of it ------------------------------------------------------------------------------------------

    def summary(self) -> list[list[str]]:
        """[path, route, why] of each part, in the order of the run; then what was never reached."""
        rows = [[part.path, part.route, part.why] for part in self.plan]
        if self.error is not None:
            if self._failed is None:
                rows.append(["", "opaque", first_line(self.error)])
            rows += [[path, "not reached", f"{count} parameters"] for path, count in self._unreached()]
        return list({tuple(row): row for row in rows}.values())

    def text(self) -> str:
        """The summary in a line."""
        rows = self.summary()
        count = {route: sum(row[1] == route for row in rows) for route in ("export", "record")}
        texts = [f"submodules: {count['export']} by export, {count['record']} by recording"]
        texts += [f"{path or 'the model itself'} is opaque ({why})" for path, route, why in rows if route == "opaque"]
        missing = [path for path, route, _ in rows if route == "not reached"]
        if missing:
            texts.append("not reached: " + ", ".join(missing[:_NAMED]) + (" ..." if len(missing) > _NAMED else ""))
        return "; ".join(texts)

    def _unreached(self) -> Iterator[tuple[str, int]]:
        """The topmost submodules with parameters that the run did not come to."""
        whole = {part.path for part in self.plan if part.route != "record"}
        begun = {part.path for part in self.plan}

        def visit(module: torch.nn.Module, path: str) -> Iterator[tuple[str, int]]:
            for name, child in module.named_children():
                below = f"{path}.{name}" if path else name
                if below in whole:
                    continue
                if any(f"{other}.".startswith(f"{below}.") for other in begun):
                    yield from visit(child, below)
                    continue
                count = sum(parameter.numel() for parameter in child.parameters())
                if count:
                    yield below, count

        yield from visit(self.model, "")

    # ---- the first run ----------------------------------------------------------------------------------------------

    def _decide(self, module: torch.nn.Module, args: Any, kwargs: Any, call: Callable[[], Any]) -> Any:
        part = Part(self.paths[id(module)])
        self.plan.append(part)
        try:
            part.program = self._exported(module, args, kwargs)
        except Exception as error:  # noqa: BLE001  anything the model or torch raises
            part.why = first_line(error)
        if part.program is not None:
            part.route = "export"
            with self._calls_through(None):
                part.result = self._result(part.program, call)
            return part.result
        try:
            return call()
        except Exception as error:
            if self._failed is None:
                self._failed, part.route, part.why = part, "opaque", first_line(error)
            raise

    def _exported(self, module: torch.nn.Module, args: Any, kwargs: Any) -> Any:
        with _disable_current_modes(), self._calls_through(None), packing(module, args, kwargs, self.strict) as inputs:
            program = export(module, *inputs, None, self.strict)
        check_fits(program)
        return program

    def _result(self, program: Any, call: Callable[[], Any]) -> Any:
        """What the call gives: by running it, or where fake tensors do not run it, from the graph's own record."""
        try:
            return pytree.tree_map(_kept, call())
        except LACKING:
            if self.mode is None:
                raise
        flat = [self._like(value) for value in outputs(program)]
        return unpack(pytree.tree_unflatten(flat, program.call_spec.out_spec))

    def _like(self, value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        assert self.mode is not None
        with self.mode:
            return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=value.device)

    @contextlib.contextmanager
    def _calls_through(self, handler: Any) -> Iterator[None]:
        """Calls of the model's submodules go through ``handler``; None: they run as they are."""
        cls: Any = torch.nn.Module
        original = cls.__call__
        plain = getattr(original, "__fxcost_plain__", original)
        paths, root = self.paths, self.model

        def __call__(module: Any, *args: Any, **kwargs: Any) -> Any:
            if module is root or id(module) not in paths:
                return original(module, *args, **kwargs)
            return handler(module, args, kwargs, lambda: original(module, *args, **kwargs))

        __call__.__fxcost_plain__ = plain  # type: ignore[attr-defined]
        with mock.patch.object(cls, "__call__", plain if handler is None else __call__):
            yield


def _packed(value: Any) -> Any:
    return value if is_plain(value) else pack(value)


def _kept(value: Any) -> Any:
    """A result that stays as it is while the first run goes on."""
    if isinstance(value, torch.Tensor) and not isinstance(value, FakeTensor):
        return value.detach().clone()
    return value
