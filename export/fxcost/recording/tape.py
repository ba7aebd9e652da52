"""What runs, noted while it runs: the operators that torch dispatches, below autograd.

The hot path notes and nothing more: operators, arguments and results go onto a list as they are, tensors replaced by
references (storage, element type, sizes, strides, offset). No tensor is kept, so the peak memory of what runs is
unchanged; of a storage only its identity is kept, so that no later one is mistaken for it.
"""

from __future__ import annotations

import sys
import weakref
from typing import Any, NamedTuple

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from ..forwards import Forwards
from ..kernels import schema
from .identities import Identities
from .phases import Phases

OUTSIDE = -1  # node of a reference to a tensor that no recorded operator made

_TENSOR = torch.Tensor
_COMPOSITE_KEY = torch._C.DispatchKey.CompositeImplicitAutograd
_PLAIN, _COMPOSITE, _IGNORED = range(3)
_HOLDERS = (torch.Tensor, list, tuple, dict)
_NO_STORAGE = (RuntimeError, NotImplementedError)
_TENSORS = frozenset({torch.Tensor, torch.nn.Parameter, torch.nn.Buffer, FakeTensor})  # others are subclasses


Key = tuple[torch.dtype, tuple[int, ...], tuple[int, ...], int]  # type, sizes, strides, offset


class Ref:
    """One tensor as operators saw it. ``node`` and ``place`` say what made it: which event, which of its results
    (-1: the only one)."""

    __slots__ = ("flags", "key", "node", "place", "row", "storage")

    row: int  # of the value, once it is written

    def __init__(self, key: Key, storage: int, node: int, place: int, flags: int = 0) -> None:
        self.key, self.storage, self.node, self.place, self.flags = key, storage, node, place, flags

    @property
    def dtype(self) -> torch.dtype:
        return self.key[0]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.key[1]


class Odd:
    """What a reference cannot say by its storage: a tensor without one (sparse, nested, a subclass)."""

    __slots__ = ("device", "layout", "quantized", "subclass")

    def __init__(self, tensor: torch.Tensor) -> None:
        self.layout = "nested" if tensor.is_nested else tensor.layout
        self.device, self.quantized = str(tensor.device), tensor.is_quantized
        self.subclass = type(tensor) not in _TENSORS


class Kernel(NamedTuple):
    """The operator that a launched kernel is."""

    name: str
    schema: str


class Storage:
    """Memory that tensors have. ``key`` and ``ref`` are the description under which an operator saw it last, and what
    stands for that: nearly always the next one takes it so."""

    __slots__ = ("bytes", "device", "key", "ref", "row")

    ref: Ref

    def __init__(self, row: int, size: int, device: torch.device) -> None:
        self.row, self.bytes, self.device = row, size, device
        self.key: Key | None = None


def _flags(tensor: torch.Tensor) -> int:
    return (2 if tensor.is_conj() else 0) | (4 if tensor.is_neg() else 0)


class Events:
    """What a program is written from. An event is (operator, arguments, keyword arguments, results, call, function,
    code, position in the code, flags, autograd number)."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.outside: list[tuple[Ref, int]] = []  # with the event that met it first
        self.storages: list[Storage] = []
        self.odd: list[Odd] = []
        # Calls of modules: (module, calling call, training, events before it). Modules live as long as these.
        self.calls: list[tuple[torch.nn.Module, int, bool, int]] = []
        self.without_hooks: set[int] = set()  # calls of what was reached by its forward alone


class Tape(Events):
    """Events in order, as they are noted."""

    def __init__(self, forwards: Forwards) -> None:
        super().__init__()
        self.forwards = forwards
        self.phases = Phases()
        self.call = -1
        self.function: tuple[Any, int] | None = None
        self.functions = 0
        self.placed: Any = None  # the function call whose position and module call are known
        self.placed_in = self.placed_call = -1
        self.code: Any = None
        self.position = 0
        self._user_files: dict[str, bool] = {}
        self._refs: dict[tuple[int, int], Ref] = {}  # by rows of storages and ids of earlier descriptions
        self._keys: dict[Any, Any] = {}  # one of all equal descriptions
        self._identities = Identities()
        self._known = self._identities.known  # storages
        self._odd_refs: dict[int, tuple[Any, Ref]] = {}
        self._unhooked: dict[tuple[int, int], int] = {}

    # ---- tensors ----------------------------------------------------------------------------------------------------

    def ref(self, tensor: torch.Tensor) -> Ref:
        """The reference that stands for an argument."""
        try:
            storage = tensor.untyped_storage()._cdata
            key = (tensor.dtype, tensor.shape, tensor.stride(), tensor.storage_offset())
        except _NO_STORAGE:
            return self._odd_ref(tensor, OUTSIDE, -1)
        known = self._known.get(storage)
        if known is not None:
            if known.key == key:
                return known.ref
            found = self._refs.get((known.row, id(self._keys.get(key))))
            if found is not None:
                return found
        made = self.made(tensor, OUTSIDE, -1)
        self.outside.append((made, len(self.events)))
        return made

    def made(self, tensor: torch.Tensor, node: int, place: int) -> Ref:
        """The reference of a result, which from now on stands for all tensors of its description."""
        try:
            storage = tensor.untyped_storage()._cdata
            key = (tensor.dtype, tensor.shape, tensor.stride(), tensor.storage_offset())
        except _NO_STORAGE:
            return self._odd_ref(tensor, node, place)
        key = self._keys.setdefault(key, key)
        known = self._known.get(storage)
        if known is None:
            known = self._new_storage(tensor)
        elif known.key is not key:
            self._refs[known.row, id(known.key)] = known.ref
        known.key, known.ref = key, (ref := Ref(key, known.row, node, place))
        if key[0].is_complex:
            ref.flags = _flags(tensor)
        return ref

    def _new_storage(self, tensor: torch.Tensor) -> Storage:
        storage = tensor.untyped_storage()
        made = Storage(len(self.storages), storage.nbytes(), tensor.device)
        self._identities.add(storage, made)
        self.storages.append(made)
        return made

    def _odd_ref(self, tensor: torch.Tensor, node: int, place: int) -> Ref:
        known = self._odd_refs.get(id(tensor))
        if known is not None and known[0]() is tensor and node == OUTSIDE:
            return known[1]
        ref = self._odd(tensor, node, place)
        self._odd_refs[id(tensor)] = weakref.ref(tensor), ref
        if node == OUTSIDE:
            self.outside.append((ref, len(self.events)))
        return ref

    def _odd(self, tensor: torch.Tensor, node: int, place: int) -> Ref:
        try:
            shape: tuple[Any, ...] = tuple(tensor.shape)
        except RuntimeError:
            shape = ()
        self.odd.append(Odd(tensor))
        return Ref((tensor.dtype, shape, (0,) * len(shape), 0), -len(self.odd), node, place)

    def stands_for(self, tensor: torch.Tensor, ref: Ref) -> None:
        """From now on this tensor is what the reference means, and its storage the reference's."""
        try:
            storage = tensor.untyped_storage()
            key = (tensor.dtype, tensor.shape, tensor.stride(), tensor.storage_offset())
        except _NO_STORAGE:
            self._odd_refs[id(tensor)] = weakref.ref(tensor), ref
            return
        known = self._known.get(storage._cdata)
        if known is None:
            known = self.storages[ref.storage] if ref.storage >= 0 else Storage(ref.storage, 0, tensor.device)
            self._identities.add(storage, known)
        self._refs[known.row, id(self._keys.setdefault(key, key))] = ref
        if known.key == key:
            known.ref = ref

    def described(self, tensor: torch.Tensor) -> Ref:
        """A reference of its own to what a model holds, whether or not any operator met it."""
        if type(tensor) not in _TENSORS:
            return self._odd(tensor, OUTSIDE, -1)
        try:
            storage = tensor.untyped_storage()._cdata
            key = (tensor.dtype, tensor.shape, tensor.stride(), tensor.storage_offset())
        except _NO_STORAGE:
            return self._odd(tensor, OUTSIDE, -1)
        key = self._keys.setdefault(key, key)
        known = self._known.get(storage) or self._new_storage(tensor)
        return Ref(key, known.row, OUTSIDE, -1, _flags(tensor) if key[0].is_complex else 0)

    def storage_row(self, tensor: torch.Tensor) -> int | None:
        """The storage of a tensor, if any operator met it."""
        try:
            known = self._known.get(tensor.untyped_storage()._cdata)
        except _NO_STORAGE:
            return None
        return known.row if known is not None else None

    def alive(self) -> list[bool]:
        """Whether anybody still holds a storage, by its row."""
        alive = [False] * len(self.storages)
        for storage in self._identities.held():
            if storage.row >= 0:
                alive[storage.row] = True
        return alive

    def free(self) -> None:
        """Lets go of identities and modules; the tape can be written after that, not recorded on."""
        self._identities.free()
        self.calls.clear()
        self._refs.clear()
        self._odd_refs.clear()

    # ---- arguments --------------------------------------------------------------------------------------------------

    def noted(self, arg: Any) -> Any:
        """An argument with references for tensors; lists are copied, the rest is taken as it is."""
        if isinstance(arg, _TENSOR):
            return self.ref(arg)
        if isinstance(arg, (list, tuple)):
            return [self.noted(item) if isinstance(item, _HOLDERS) else item for item in arg]
        if isinstance(arg, dict):
            return {key: self.noted(item) for key, item in arg.items()}
        return arg

    def results(self, out: Any, node: int) -> Any:
        if isinstance(out, (list, tuple)):
            made = self.made
            return [made(item, node, i) if isinstance(item, _TENSOR) else item for i, item in enumerate(out)]
        return out

    def launched(self, name: str, arguments: dict[str, Any]) -> None:
        """A kernel that torch does not dispatch."""
        call, code, position = self.place(sys._getframe(1))
        flags, number = self.phases.now(self.call)
        kernel = Kernel(name, schema(arguments))
        named = {key: self.noted(value) for key, value in arguments.items()}
        self.events.append((kernel, [], named, None, call, None, code, position, flags, number))

    def place(self, frame: Any) -> tuple[int, Any, int]:
        """Module call, and code and position in it of the innermost frame outside torch and fxcost."""
        files, forwards, call = self._user_files, self.forwards.codes, self.call
        while frame is not None:
            code = frame.f_code
            if forwards and id(code) in forwards:
                call, forwards = self._call_in(frame), frozenset()
            user = files.get(code.co_filename)
            if user is None:
                file = code.co_filename
                user = files[file] = not file.startswith(_OWN_FILES) and not file.startswith("<")
            if user:
                if forwards:  # a function that a forward calls
                    call = self._call_around(frame.f_back)
                return call, code, frame.f_lasti
            frame = frame.f_back
        return call, None, 0

    def _call_in(self, frame: Any) -> int:
        """The open call, or that of the module whose forward this is, which nobody called."""
        call = self.call
        owner = self.forwards.owner(frame, self.calls[call][0]) if call >= 0 else None
        return call if owner is None else self._without_hook(owner)

    def _call_around(self, frame: Any) -> int:
        call = self.call
        owner = self.forwards.nearest(frame, self.calls[call][0]) if call >= 0 else None
        return call if owner is None else self._without_hook(owner)

    def _without_hook(self, module: torch.nn.Module) -> int:
        """The call of a module whose forward runs inside the open call, though it was not called itself."""
        key = (self.call, id(module))
        row = self._unhooked.get(key)
        if row is None:
            row = self._unhooked[key] = len(self.calls)
            self.without_hooks.add(row)
            self.calls.append((module, self.call, module.training, len(self.events)))
        return row


_OWN_FILES = (
    torch.__file__.removesuffix("__init__.py"),
    __file__.rpartition("recording")[0],
)


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
