"""What runs, noted while it runs.

The hot path notes and nothing more: operators, arguments and results go onto a list as they are, tensors replaced by
references (storage, element type, sizes, strides, offset). No tensor is kept, so the peak memory of what runs is
unchanged; of a storage only its identity is kept, so that no later one is mistaken for it.
"""

from __future__ import annotations

import sys
import weakref
from typing import Any

import torch

from ..forwards import Forwards
from ..kernels import schema
from .events import OUTSIDE, PLAIN_TENSORS, Events, Kernel, Odd, Ref, Storage
from .identities import Identities
from .phases import Phases

_TENSOR = torch.Tensor
_HOLDERS = (torch.Tensor, list, tuple, dict)
_NO_STORAGE = (RuntimeError, NotImplementedError)


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
        if type(tensor) not in PLAIN_TENSORS:
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


def _flags(tensor: torch.Tensor) -> int:
    return (2 if tensor.is_conj() else 0) | (4 if tensor.is_neg() else 0)
