"""What torch.export's graph does not keep, watched while the model runs: module calls, calls of functions by name, and
checkpoint regions.

Calls of modules and checkpoints are seen at private seams of torch (the tracer's call_module, the checkpoint's
generator). Where a torch version lacks one, its part is missing from the file and nothing else changes.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch

from .forwards import Forwards
from .functions import Functions, Seen
from .modules import MARK, OWNER, Call
from .regions import REGION, Region
from .structures import nested

_ROOT = "_export_root"
_DEEPEST = 8  # a value may hold itself


class Watch:
    """Records calls in order; ``failed`` is the path and class of the innermost module that raised."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.failed: tuple[str, str] | None = None
        self._open: list[int] = []
        self._modules: list[Any] = []
        self._forwards = Forwards()
        self._regions: list[Region] = []
        self._tracer: Any = None
        self._marks = 0
        self._thread = threading.get_ident()

    @contextlib.contextmanager
    def running(self, model: torch.nn.Module | None = None) -> Iterator[None]:
        """While a model is traced, its explicit forwards included where it is given."""
        self._forwards = Forwards(list(model.modules()) if model is not None else ())
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._watch_calls())
            stack.enter_context(self._watch_checkpoints())
            stack.enter_context(Functions(self._function, self._in_function).watched())
            yield

    @contextlib.contextmanager
    def _watch_calls(self) -> Iterator[None]:
        from torch.fx.experimental import proxy_tensor

        tracer_class: Any = getattr(proxy_tensor, "_ModuleStackTracer", None)
        original = getattr(tracer_class, "call_module", None)
        if original is None:
            yield
            return
        thread, watch = threading.get_ident(), self

        def call_module(tracer: Any, module: Any, forward: Any, args: Any, kwargs: Any) -> Any:
            path = watch._path(tracer, module) if threading.get_ident() == thread else None
            if path is None:
                return original(tracer, module, forward, args, kwargs)
            watch._tracer = tracer
            if path and not watch.calls:  # export runs a GraphModule's nodes one by one, without calling the root
                watch.calls.append(Call("", None, module.training, inferred=True))
            index = len(watch.calls)
            parent = watch._open[-1] if watch._open else (0 if path else None)
            call = Call(path, parent, module.training)
            watch.calls.append(call)
            watch._collect(tracer, args, call.inputs)
            watch._collect(tracer, kwargs, call.inputs)
            watch._open.append(index)
            watch._modules.append(module)
            try:
                result = original(tracer, module, forward, args, kwargs)
            except BaseException:
                if watch.failed is None:
                    watch.failed = path, _class_of(module)
                raise
            finally:
                watch._open.pop()
                watch._modules.pop()
            call.outputs = []
            watch._collect(tracer, result, call.outputs)
            return result

        with mock.patch.object(tracer_class, "call_module", call_module):
            yield

    def _collect(self, tracer: Any, value: Any, out: list[int | None], depth: int = 0) -> None:
        """Marks the nodes behind the tensors in a value, in order; None for a tensor that no node made (a constant)."""
        if isinstance(value, torch.Tensor):
            slot = tracer.tensor_tracker.get(value)
            if slot is None:
                out.append(None)
                return
            meta = slot.proxy.node.meta
            if MARK not in meta:
                self._marks += 1
                meta[MARK] = self._marks
            out.append(meta[MARK])
        else:
            for item in nested(value) if depth < _DEEPEST else ():
                self._collect(tracer, item, out, depth + 1)

    @staticmethod
    def _path(tracer: Any, module: Any) -> str | None:
        try:
            path = tracer.path_of_module(module)
        except (NameError, KeyError, AttributeError):
            return None
        if path == _ROOT:
            return ""
        return str(path[len(_ROOT) + 1 :]) if path.startswith(_ROOT + ".") else None

    @contextlib.contextmanager
    def _watch_checkpoints(self) -> Iterator[None]:
        import torch.utils.checkpoint as checkpoints

        names = ("_checkpoint_without_reentrant_generator_impl", "_checkpoint_without_reentrant_generator")
        name = next((name for name in names if hasattr(checkpoints, name)), names[1])  # the first from torch 2.14 on
        original = getattr(checkpoints, name, None)
        apply = checkpoints.CheckpointFunction.apply
        if original is None:
            yield
            return
        watch = self

        def generator(*args: Any, **kwargs: Any) -> Iterator[None]:
            with watch._region(Region("checkpoint", {"use_reentrant": False})):
                yield from original(*args, **kwargs)

        def reentrant(*args: Any, **kwargs: Any) -> Any:
            with watch._region(Region("checkpoint", {"use_reentrant": True})):
                return apply(*args, **kwargs)

        with (
            mock.patch.object(checkpoints, name, generator),
            mock.patch.object(checkpoints.CheckpointFunction, "apply", reentrant),
        ):
            yield

    @contextlib.contextmanager
    def _region(self, region: Region) -> Iterator[None]:
        """Marks every node that the tracer makes meanwhile with the chain of regions it lies in."""
        self._regions.append(region)
        chain = tuple(self._regions)
        if self._tracer is None:  # no module was called yet: a GraphModule may begin with functions
            self._tracer = _active_tracer()
        before = next(iter(reversed(self._tracer.graph.nodes)), None) if self._tracer is not None else None
        owner = self._owner() if region.kind == "function" else None
        try:
            yield
        finally:
            self._regions.pop()
            if before is not None:
                for node in reversed(self._tracer.graph.nodes):
                    if node is before:
                        break
                    node.meta.setdefault(REGION, chain)
                    if owner is not None:
                        node.meta.setdefault(OWNER, owner)

    def _owner(self) -> str | None:
        """The path of the module whose forward runs, when that is not the one that was called."""
        module = self._forwards.nearest(sys._getframe(2), self._modules[-1]) if self._modules else None
        return None if module is None else self._path(self._tracer, module)

    def _function(self) -> Seen | None:
        """The function that is running, when nothing else has begun inside it."""
        config = self._regions[-1].config if self._regions else None
        return config if isinstance(config, Seen) else None

    @contextlib.contextmanager
    def _in_function(self, name: str, keywords: tuple[str, ...]) -> Iterator[Seen]:
        seen = Seen(name, keywords)
        if threading.get_ident() != self._thread:
            yield seen
            return
        with self._region(Region("function", seen)):
            yield seen


def _active_tracer() -> Any:
    """The tracer of the export that is under way; None outside, and where this torch has it elsewhere."""
    from torch.fx.experimental import proxy_tensor

    find = getattr(proxy_tensor, "get_proxy_mode", None)
    return getattr(find() if find else None, "tracer", None)


def _class_of(module: Any) -> str:
    cls = type(module)
    return str(cls.__qualname__)
