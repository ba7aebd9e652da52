"""torch's modes that put what runs on a tape: the operators that it dispatches, below autograd, and around them its
functions."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from .tape import Tape

_TENSOR = torch.Tensor
_COMPOSITE_KEY = torch._C.DispatchKey.CompositeImplicitAutograd
_PLAIN, _COMPOSITE, _IGNORED = range(3)


class Dispatch(TorchDispatchMode):
    """Notes every operator, and runs it."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self.tape = tape
        # Kind, what to call, and the operator, kept for its id, by which this is: its own hash is slow.
        self._kinds: dict[int, tuple[int, Any, Any]] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # the wrapper that this saves costs more than all that is done here

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for cls in types:
            if cls is not FakeTensor and cls is not _TENSOR:
                return NotImplemented  # a subclass unwraps itself; what it holds comes back here
        known = self._kinds.get(id(func))
        if known is None:
            call = func._op if type(func) is torch._ops.OpOverload else func  # which is all that calling it does
            known = self._kinds[id(func)] = _kind_of(func), call, func
        kind, run, _ = known
        if kind == _COMPOSITE:  # reached whole in inference mode: what runs is below it
            with self:
                out = func.decompose(*args, **kwargs) if kwargs else func.decompose(*args)
                if out is not NotImplemented:
                    return out
        elif kind == _IGNORED:
            return func(*args, **(kwargs or {}))
        tape = self.tape
        ref, noted = tape.ref, tape.noted
        taken = [
            ref(arg) if isinstance(arg, _TENSOR) else noted(arg) if isinstance(arg, (list, tuple)) else arg
            for arg in args
        ]
        named = {key: noted(arg) for key, arg in kwargs.items()} if kwargs else None
        out = run(*args, **kwargs) if kwargs else run(*args)
        events = tape.events
        index = len(events)
        flags, number = tape.phases.now(tape.call)
        function = tape.function
        call = tape.call
        if flags & tape.phases.backward:  # has the position of its forward operator
            code, position = None, 0
        elif function is not None and function is tape.placed and call == tape.placed_in:
            # One call of a function has one position; what a checkpoint computes again runs inside another.
            call, code, position = tape.placed_call, tape.code, tape.position
        else:
            tape.placed, tape.placed_in = function, call
            call, code, position = tape.place(sys._getframe(1))
            tape.placed_call, tape.code, tape.position = call, code, position
        result = tape.made(out, index, -1) if isinstance(out, _TENSOR) else tape.results(out, index)
        events.append((func, taken, named, result, call, function, code, position, flags, number))
        return out


class Attempts(Dispatch):
    """Notes too, without a result, the first operator that fails: what it would have computed is unknown."""

    def __init__(self, tape: Tape) -> None:
        super().__init__(tape)
        self.failed = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        try:
            return super().__torch_dispatch__(func, types, args, kwargs)
        except Exception:
            if not self.failed and isinstance(func, torch._ops.OpOverload):
                self.failed, tape = True, self.tape
                named = {key: tape.noted(arg) for key, arg in kwargs.items()} if kwargs else None
                call, code, position = tape.place(sys._getframe(1))
                flags, number = tape.phases.now(tape.call)
                taken = [tape.noted(arg) for arg in args]
                tape.events.append((func, taken, named, None, call, None, code, position, flags, number))
            raise


def _kind_of(func: Any) -> int:
    if not isinstance(func, torch._ops.OpOverload):
        return _PLAIN
    if func.namespace in ("profiler", "prim"):  # marks of the profiler, questions to a tensor
        return _IGNORED
    composite = _COMPOSITE_KEY in func.py_kernels or func.has_kernel_for_dispatch_key(_COMPOSITE_KEY)
    return _COMPOSITE if composite else _PLAIN


# What these run, autograd's nodes run.
_BACKWARD = (torch.autograd.grad, torch.autograd.backward)


class Functions(TorchFunctionMode):
    """Notes which of torch's functions is running, whose work dispatch sees only in parts."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self.tape = tape

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is _TENSOR.backward:  # as Tensor.backward does, with functions seen in what is recomputed
            with self, self.tape.phases.starting():
                return torch.autograd.backward(*_backward_arguments(*args, **kwargs))
        tape = self.tape
        before = tape.function
        tape.functions += 1
        tape.function = None if func in _BACKWARD else (func, tape.functions)
        try:
            return func(*args, **kwargs)
        finally:
            tape.function = before


def _backward_arguments(
    tensor: Any, gradient: Any = None, retain_graph: Any = None, create_graph: bool = False, inputs: Any = None
) -> tuple[Any, ...]:
    return tensor, gradient, retain_graph, create_graph, None, inputs
