"""Reads pickles without running them: every name that a pickle asks for becomes a stand-in that only remembers.

A pickle runs code by naming a callable and calling it. Here the lookup of names (``find_class``) answers with classes
of this file alone, so what would be called is a note of the call. Tensors become descriptions without their numbers.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, BinaryIO

DTYPES = {
    "Float": "float32",
    "Double": "float64",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
    "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
    "QInt8": "qint8",
    "QUInt8": "quint8",
    "QInt32": "qint32",
    "QUInt4x2": "quint4x2",
    "QUInt2x4": "quint2x4",
}


@dataclass(frozen=True, slots=True)
class Described:
    """A tensor without its numbers. ``storage`` tells which tensors share memory."""

    dtype: str
    shape: tuple[int, ...]
    storage: Any = None
    parameter: bool = False


class Inert:
    """What stands for an object: the name of its class, and its state as data."""

    __slots__ = ("name", "arguments", "state", "items")
    NAME = "?"
    name: str
    arguments: tuple[Any, ...]
    state: dict[str, Any]
    items: list[tuple[Any, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Inert:
        self = object.__new__(cls)
        object.__setattr__(self, "name", cls.NAME)
        object.__setattr__(self, "arguments", args)
        object.__setattr__(self, "state", {})
        object.__setattr__(self, "items", [])
        return self

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setattr__(self, name: str, value: Any) -> None:
        self.state[name] = value

    def __setstate__(self, state: Any) -> None:
        parts = state if isinstance(state, tuple) and len(state) == 2 else (state,)
        for part in parts:
            if isinstance(part, dict):
                self.state.update(part)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items.append((key, value))

    def append(self, value: Any) -> None:
        self.items.append((None, value))

    def extend(self, values: Any) -> None:
        self.items.extend((None, value) for value in values)

    add = append

    def __call__(self, *args: Any, **kwargs: Any) -> Inert:
        return _stand_in(f"{self.name}()")(*args)


def _stand_in(name: str) -> type[Inert]:
    return type("StandIn", (Inert,), {"NAME": name, "__slots__": ()})


# ---- what makes tensors ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Storage:
    dtype: str
    key: Any


def _sizes(value: Any) -> tuple[int, ...]:
    value = tuple(value)
    if not all(isinstance(size, int) and 0 <= size < 2**62 for size in value):
        raise pickle.UnpicklingError("the size of a tensor is no list of numbers")
    return value


def _from_storage(storage: Any, offset: Any = 0, size: Any = (), *rest: Any) -> Described:
    dtype = next((item.name.removeprefix("torch.") for item in rest if _is_dtype(item)), None)
    if not isinstance(storage, Storage):
        raise pickle.UnpicklingError("a tensor without storage")
    return Described(dtype or storage.dtype, _sizes(size), storage.key)


def _is_dtype(value: Any) -> bool:
    return isinstance(value, type) is False and isinstance(value, Inert) and value.name.startswith("torch.")


def _parameter(data: Any, *rest: Any) -> Any:
    return Described(data.dtype, data.shape, data.storage, True) if isinstance(data, Described) else data


def _meta(dtype: Any, size: Any, *rest: Any) -> Described:
    return Described(_dtype_text(dtype), _sizes(size))


def _dtype_text(dtype: Any) -> str:
    return dtype.name.removeprefix("torch.") if isinstance(dtype, Inert) else "unknown"


def _subclass(function: Any, cls: Any, args: Any, state: Any) -> Any:
    """A tensor subclass: what its rebuilding makes, where that is a tensor."""
    return function(*args) if isinstance(function, _Known) else _stand_in("a tensor subclass")()


def _wrapper(cls: Any, dtype: Any, size: Any, *rest: Any) -> Described:
    return Described(_dtype_text(dtype), _sizes(size))


class _Known:
    """A function of this file that a pickle may call, but not change."""

    __slots__ = ("_function",)
    _function: Any

    def __init__(self, function: Any) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setattr__(self, name: str, value: Any) -> None:
        raise pickle.UnpicklingError("state for a function")

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("state for a function")


_FUNCTIONS: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor"): _Known(_from_storage),
    ("torch._utils", "_rebuild_tensor_v2"): _Known(_from_storage),
    ("torch._utils", "_rebuild_tensor_v3"): _Known(_from_storage),
    ("torch._utils", "_rebuild_qtensor"): _Known(_from_storage),
    ("torch._utils", "_rebuild_parameter"): _Known(_parameter),
    ("torch._utils", "_rebuild_parameter_with_state"): _Known(_parameter),
    ("torch._utils", "_rebuild_meta_tensor_no_storage"): _Known(_meta),
    ("torch._utils", "_rebuild_wrapper_subclass"): _Known(_wrapper),
    ("torch._tensor", "_rebuild_from_type_v2"): _Known(_subclass),
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("torch", "Size"): _Known(lambda sizes=(): _sizes(sizes)),
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="latin1")
        self.names: list[str] = []

    def find_class(self, module: str, name: str) -> Any:
        known = _FUNCTIONS.get((module, name))
        if known is not None:
            return known
        full = f"{module}.{name}"
        if module == "torch" and name.islower():  # torch.float32: a value, no class
            return _stand_in(full)()
        if full not in self.names:
            self.names.append(full)
        return _stand_in(full)

    def persistent_load(self, pid: Any) -> Any:
        if isinstance(pid, tuple) and len(pid) >= 4 and pid[0] == "storage":
            name = getattr(pid[1], "NAME", "").rpartition(".")[2].removesuffix("Storage")
            return Storage(DTYPES.get(name, "unknown"), pid[2])
        if isinstance(pid, tuple) and len(pid) >= 2 and pid[0] == "module":  # a class, beside its source
            return pid[1]
        return _stand_in("a reference outside the pickle")()


def load(file: BinaryIO) -> tuple[Any, list[str]]:
    """The next pickle of a file as data, and the classes and functions that it names. Raises UnpicklingError."""
    unpickler = _Unpickler(file)
    try:
        return unpickler.load(), unpickler.names
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # noqa: BLE001  a damaged or hostile pickle fails in any way
        raise pickle.UnpicklingError(f"{type(error).__name__}: {error}") from None
