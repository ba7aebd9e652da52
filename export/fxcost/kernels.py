"""Triton kernels that a model launches itself: noted as operators of a graph while it is captured, not launched.

torch.export records a launch through torch.library.wrap_triton. A plain ``kernel[grid](...)`` is sent that way
for as long as a capture takes. In the program each kernel is an operator ``triton.NAME`` with the kernel's own argument
names, which may write to any tensor that it is given.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from torch._subclasses.fake_tensor import FakeTensor

_PREFIX = "triton_kernel_wrapper_"

Launcher = Callable[[Any, Any], Any]  # of a kernel and its grid


def kernels_noted() -> contextlib.AbstractContextManager[None]:
    """Plain launches of Triton kernels are recorded by the tracer at work."""
    wrap = getattr(torch.library, "wrap_triton", None)

    def noted(original: Launcher) -> Launcher:
        def launched(kernel: Any, grid: Any) -> Any:
            if wrap is None:
                return original(kernel, grid)
            try:
                wrapped = wrap(kernel)
            except (RuntimeError, TypeError):  # neither a jitted function nor an autotuned one
                return original(kernel, grid)
            return wrapped[grid] if wrapped is not kernel else original(kernel, grid)

        return launched

    return _launching(noted)


def launches_told(note: Callable[[str, dict[str, Any]], None]) -> contextlib.AbstractContextManager[None]:
    """Launches of Triton kernels while a model runs, which torch does not dispatch: ``note`` is told each one's name
    and arguments. On fake tensors it is not launched."""

    def told(original: Launcher) -> Launcher:
        def launched(kernel: Any, grid: Any) -> Any:
            launcher = original(kernel, grid)

            def launch(*args: Any, **kwargs: Any) -> Any:
                names = getattr(kernel, "arg_names", None) or [f"operand{i}" for i in range(len(args))]
                arguments = dict(zip(names, args, strict=False)) | {key: kwargs[key] for key in kwargs if key in names}
                note(_name(kernel), arguments)
                if any(isinstance(value, FakeTensor) for value in arguments.values()):
                    return None
                return launcher(*args, **kwargs)

            return launch

        return launched

    return _launching(told)


@contextlib.contextmanager
def _launching(changed: Callable[[Launcher], Launcher]) -> Iterator[None]:
    """``kernel[grid]`` is what ``changed`` makes of it. Without Triton nothing is launched."""
    interface = getattr(sys.modules.get("triton.runtime.jit"), "KernelInterface", None)
    if interface is None:
        yield
        return
    with mock.patch.object(interface, "__getitem__", changed(interface.__getitem__)):
        yield


def _name(kernel: Any) -> str:
    while hasattr(kernel, "fn") and not hasattr(kernel, "__name__"):  # autotuners hold the kernel
        kernel = kernel.fn
    return f"triton.{getattr(kernel, '__name__', None) or type(kernel).__name__}"


def is_launch(node: torch.fx.Node) -> bool:
    target = node.target
    return isinstance(target, torch._ops.HigherOrderOperator) and target.name().startswith(_PREFIX)


def launch(node: torch.fx.Node) -> tuple[str, dict[str, Any]]:
    """Name and arguments of the kernel that a node launches."""
    from torch._higher_order_ops.triton_kernel_wrap import kernel_side_table

    kwargs: Any = node.kwargs
    kernel: Any = kernel_side_table.get_kernel(kwargs["kernel_idx"])
    constants = kernel_side_table.get_constant_args(kwargs["constant_args_idx"])
    return _name(kernel), {**kwargs["kwargs"], **constants}


def schema(arguments: dict[str, Any]) -> str:
    """What is known of a kernel: it returns nothing and may write to every tensor."""
    texts = []
    for index, (name, value) in enumerate(arguments.items()):
        val = value.meta.get("val") if isinstance(value, torch.fx.Node) else value
        kind = f"Tensor(a{index}!)" if isinstance(val, torch.Tensor) else "Scalar"
        texts.append(f"{kind} {name}")
    return f"({', '.join(texts)}) -> ()"
