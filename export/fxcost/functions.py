"""Which Python functions the model calls, under which names: what counters that patch or intercept functions see.

A call is seen *by name* when it looks the function up where such a counter puts its own (``torch.matmul``,
``torch.nn.functional.relu``): a model that keeps a reference of its own from before escapes. It is *intercepted* when
it passes torch's function override, as every outermost call does, operators of tensors included.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from .conventions import conventions, rows

_NAME = "__fxcost_name__"
# Called with the name and keywords of a function that starts; what it returns is told how that call was seen.
Enter = Callable[[str, tuple[str, ...]], contextlib.AbstractContextManager["Seen"]]


class Seen:
    """How one call of a function was seen."""

    __slots__ = ("by_name", "intercepted", "keywords", "name")

    def __init__(self, name: str, keywords: tuple[str, ...]) -> None:
        self.name, self.keywords = name, keywords
        self.by_name = self.intercepted = False


@functools.cache
def patched_names() -> tuple[str, ...]:
    """Names that the tools of conventions replace by their own functions, and operators of tensors: torch's override
    sees those under the name of a method."""
    found = {
        row.name
        for convention in conventions()
        for row in rows(convention.name)
        if row.sight == "function" and (convention.functions == "patched" or _is_operator(row.name))
    }
    return tuple(sorted(found))


def _is_operator(name: str) -> bool:
    return name.rpartition(".")[2].startswith("__")


@functools.cache
def _functionals() -> dict[str, Any]:
    return {name: value for name, value in vars(F).items() if callable(value)}


@functools.cache
def name_of(function: Any) -> str | None:
    """The public name of a function that torch's override sees; None for accessors of attributes."""
    known = getattr(function, _NAME, None)
    name = getattr(function, "__name__", None)
    if known is not None or name is None or name in ("__get__", "__set__", "__delete__"):
        return known
    if _functionals().get(name) is function:
        return f"torch.nn.functional.{name}"
    if hasattr(function, "__objclass__") or getattr(function, "__qualname__", "").startswith("Tensor."):
        return f"torch.Tensor.{name}"
    module = getattr(function, "__module__", None) or "torch"
    return f"{'torch' if module.startswith(('torch._C', 'torch.functional')) else module}.{name}"


@contextlib.contextmanager
def replaced(path: str, wrapper: Callable[[Any], Any]) -> Iterator[None]:
    """Puts what ``wrapper`` makes of a function of torch in its place ("torch.nn.functional.relu", "torch.Tensor.add");
    nothing where this torch has no such function."""
    owner: Any = torch
    *above, name = path.split(".")[1:]
    for part in above:
        owner = getattr(owner, part, None)
    original = getattr(owner, name, None)
    if original is None:
        yield
        return
    with mock.patch.object(owner, name, wrapper(original)):
        yield


class Functions:
    """Watches calls of functions: ``current()`` is the innermost open one, ``enter`` opens one."""

    def __init__(self, current: Callable[[], Seen | None], enter: Enter) -> None:
        self._current, self._enter = current, enter

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        _functionals()  # before anything is replaced
        with contextlib.ExitStack() as stack:
            for path in patched_names():
                stack.enter_context(replaced(path, functools.partial(self._wrapper, path)))
            stack.enter_context(_Intercept(self._current, self._enter))
            yield

    def _wrapper(self, path: str, original: Any) -> Any:
        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            if torch.compiler.is_dynamo_compiling():  # the body of a higher-order operator
                return original(*args, **kwargs)
            current = self._current()
            if current is not None and (current.name == path or _is_operator(current.name)):
                # torch's override hands the call back to its own name, and an operator to that of a method.
                return original(*args, **kwargs)
            with self._enter(path, tuple(kwargs)) as seen:
                seen.by_name, seen.intercepted = True, _is_operator(path)
                return original(*args, **kwargs)

        setattr(call, _NAME, path)
        return call


class _Intercept(TorchFunctionMode):
    """torch's function override: sees outermost calls only, since it is off while one runs."""

    def __init__(self, current: Callable[[], Seen | None], enter: Enter) -> None:
        super().__init__()
        self._current, self._enter = current, enter

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.compiler.is_dynamo_compiling():
            return func(*args, **kwargs)
        name = name_of(func)
        if name is None:
            return func(*args, **kwargs)
        current = self._current()
        if current is not None and current.name == name and current.by_name:
            current.intercepted = True
            return func(*args, **kwargs)
        with self._enter(name, tuple(kwargs)) as seen:
            seen.intercepted = True
            return func(*args, **kwargs)
