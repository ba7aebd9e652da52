"""Thin ctypes binding to libfxcost: programs, analyses and errors. Every number comes from the C library."""

from __future__ import annotations

import ctypes
import enum
import functools
import json
import math
import os
import weakref
from collections.abc import Callable, Iterator
from ctypes import (
    POINTER,
    Structure,
    byref,
    c_bool,
    c_char,
    c_char_p,
    c_double,
    c_int32,
    c_int64,
    c_size_t,
    c_uint8,
    c_uint16,
    c_uint32,
    c_void_p,
)
from pathlib import Path
from typing import Any

from .errors import FxcostError


class Status(enum.IntEnum):
    """``fxc_status``: what a call returns, and what the command line exits with."""

    OK = 0
    UNKNOWN_OPS = 1
    USAGE = 2
    IO = 3
    FORMAT = 4
    PROGRAM = 5
    CAPTURE = 6
    UNBOUND = 7
    OVERFLOW = 8
    MEMORY = 9
    DEVICE = 10
    INTERNAL = 70


class _Sized(Structure):
    """A structure that crosses the C boundary: its first field is its size."""

    def __init__(self) -> None:
        super().__init__(ctypes.sizeof(type(self)))


class _Error(_Sized):
    _fields_ = [("struct_size", c_size_t), ("status", c_int32), ("node", c_uint32)]
    _fields_ += [(part, c_char * 256) for part in ("where", "expected", "found", "advice")]
    _fields_ += [("message", c_char * 1100)]


_COUNTS = (
    "macs",
    "matrix_flops",
    "vector_flops",
    "transcendentals",
    "int_ops",
    "bytes_read",
    "bytes_written",
    "kernels",
)


class Counts(Structure):
    """``fxc_counts``: the work of a node, or of many."""

    _fields_ = [(name, c_int64) for name in _COUNTS]
    macs: int
    matrix_flops: int
    vector_flops: int
    transcendentals: int
    int_ops: int
    bytes_read: int
    bytes_written: int
    kernels: int


class Totals(_Sized):
    """``fxc_totals``: totals of one run of the program."""

    _fields_ = [("struct_size", c_size_t), ("counts", Counts)]
    _fields_ += [(name, c_int64) for name in ("flops", "params", "param_bytes", "buffers", "buffer_bytes", "nodes")]
    _fields_ += [(name, c_int64) for name in ("unknown_nodes", "unknown_elements", "output_elements")]
    _fields_ += [(name, c_int64) for name in ("recorded_values", "values", "unsized_values", "contradicted_values")]
    _fields_ += [("seconds", c_double), ("ignored_nodes", c_int64), ("activations", c_int64)]
    _fields_ += [("phase_flops", c_int64 * 5)]
    _fields_ += [("tagged_values", c_int64), ("given_values", c_int64)]
    _fields_ += [(name, c_int64) for name in ("saved_bytes", "saved_buffer_bytes", "saved_input_bytes")]
    _fields_ += [(name, c_int64) for name in ("trainable_params", "trainable_bytes", "samples", "tokens")]
    _fields_ += [("active_params", c_int64)]
    _fields_ += [(name, c_int64) for name in ("peak_bytes", "peak_node", "given_bytes", "unsized_storages")]
    _fields_ += [("untold_nodes", c_int64)]
    _fields_ += [("seconds_by_bound", c_double * 4), ("seconds_by_source", c_double * 5)]
    _fields_ += [(name, c_double) for name in ("seconds_error", "peak_seconds", "measured_seconds")]


class NodeCost(_Sized):
    """``fxc_node_cost``: cost of one execution of a node."""

    _fields_ = [("struct_size", c_size_t), ("counts", Counts), ("times", c_int64), ("coverage", c_uint8)]
    _fields_ += [("bound", c_uint8), ("seconds", c_double), ("expected_times", c_double)]
    _fields_ += [("work", c_uint8), ("source", c_uint8), ("efficiency", c_double), ("error", c_double)]


class ProgramInfo(_Sized):
    """``fxc_program_info``: the head of a program."""

    _fields_ = [("struct_size", c_size_t), ("format_major", c_uint16), ("format_minor", c_uint16)]
    _fields_ += [(name, c_uint32) for name in ("nodes", "values", "graphs", "modules", "ops", "symbols", "params")]
    _fields_ += [(name, c_char_p) for name in ("file", "producer", "torch_version", "model", "route", "dialect")]
    _fields_ += [("inputs", c_char_p), ("training", c_bool), ("grad", c_bool)]


class DeviceInfo(_Sized):
    """``fxc_device_info``: published figures of a device; 0 where there is none."""

    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("description", c_char_p), ("source", c_char_p)]
    _fields_ += [("memory_bytes", c_double), ("memory_bytes_per_second", c_double), ("flops_per_second_f32", c_double)]
    _fields_ += [("flops_per_second_bf16", c_double), ("kernel_overhead_seconds", c_double)]


class MemorySummary(_Sized):
    """``fxc_memory_summary``: the peak of one run."""

    _fields_ = [("struct_size", c_size_t), ("peak_bytes", c_int64), ("peak_node", c_uint32), ("tensors", c_uint32)]
    _fields_ += [(name, c_int64) for name in ("given_bytes", "hidden_bytes", "state_bytes", "step_bytes")]
    _fields_ += [(name, c_int64) for name in ("allocated_bytes", "reserved_bytes", "unsized", "untold")]


class Fit(_Sized):
    """``fxc_fit``: whether a run fits on a device."""

    _fields_ = [("struct_size", c_size_t), ("fits", c_bool), ("needed", c_int64), ("capacity", c_int64)]
    _fields_ += [("token_bytes", c_int64), ("bound", c_bool)]


class MemoryAt(_Sized):
    """``fxc_memory_at``: bytes alive at a node."""

    _fields_ = [("struct_size", c_size_t), ("before", c_int64), ("after", c_int64), ("most", c_int64)]


class MemoryTensor(_Sized):
    """``fxc_memory_tensor``: a storage that is alive at the peak."""

    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("bytes", c_int64), ("value", c_uint32)]
    _fields_ += [("producer", c_uint32), ("origin", c_uint8)]


class FormulaInfo(_Sized):
    """``fxc_formula_info``: a closed form and how it was found."""

    _fields_ = [("struct_size", c_size_t), ("quantity", c_char_p), ("text", c_char_p), ("domain", c_char_p)]
    _fields_ += [("kind", c_uint8)]
    _fields_ += [(name, c_uint32) for name in ("terms", "steps", "solved_at", "verified_at", "refused_at")]
    _fields_ += [("unknown_nodes", c_int64)]


class _Size(Structure):
    _fields_ = [("dim", c_char_p), ("value", c_int64)]


class _InputShape(Structure):
    _fields_ = [("name", c_char_p), ("size", POINTER(c_int64)), ("rank", c_uint32), ("dtype", c_int32)]


class _ReshapeOptions(_Sized):
    _fields_ = [("struct_size", c_size_t), ("inputs", POINTER(_InputShape)), ("input_count", c_size_t)]


class _RenderOptions(_Sized):
    _fields_ = [("struct_size", c_size_t)] + [(name, c_char_p) for name in ("format", "by", "sort", "root")]
    _fields_ += [("depth", c_uint32), ("top", c_uint32), ("raw", c_bool), ("unfold", c_bool), ("memory", c_bool)]


_WRITE = ctypes.CFUNCTYPE(c_bool, c_void_p, c_void_p, c_size_t)
_ERROR = POINTER(_Error)
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "fxc_version": (c_char_p, []),
    "fxc_enum_text": (c_char_p, [c_char_p, c_uint32]),
    "fxc_program_open": (c_int32, [c_char_p, POINTER(c_void_p), _ERROR]),
    "fxc_program_from_memory": (c_int32, [c_char_p, c_size_t, c_char_p, POINTER(c_void_p), _ERROR]),
    "fxc_program_free": (None, [c_void_p]),
    "fxc_program_print": (c_int32, [c_void_p, _WRITE, c_void_p, _ERROR]),
    "fxc_program_equal": (c_int32, [c_void_p, c_void_p, POINTER(c_bool), _ERROR]),
    "fxc_program_reshape": (c_int32, [c_void_p, POINTER(_ReshapeOptions), POINTER(c_void_p), _ERROR]),
    "fxc_program_get_info": (c_int32, [c_void_p, POINTER(ProgramInfo), _ERROR]),
    "fxc_analysis_new": (c_int32, [c_void_p, POINTER(c_void_p), _ERROR]),
    "fxc_analysis_free": (None, [c_void_p]),
    "fxc_analysis_set_forward": (c_int32, [c_void_p, c_void_p, _ERROR]),
    "fxc_analysis_set": (c_int32, [c_void_p, c_char_p, c_char_p, _ERROR]),
    "fxc_require": (c_int32, [c_void_p, c_char_p, _ERROR]),
    "fxc_analysis_totals": (c_int32, [c_void_p, POINTER(Totals), _ERROR]),
    "fxc_analysis_node": (c_int32, [c_void_p, c_uint32, POINTER(NodeCost), _ERROR]),
    "fxc_memory_get_summary": (c_int32, [c_void_p, POINTER(MemorySummary), _ERROR]),
    "fxc_memory_fits": (c_int32, [c_void_p, POINTER(Fit), _ERROR]),
    "fxc_memory_largest": (c_int32, [c_void_p, c_char_p, POINTER(c_int64), _ERROR]),
    "fxc_memory_get_node": (c_int32, [c_void_p, c_uint32, POINTER(MemoryAt), _ERROR]),
    "fxc_memory_get_tensor": (c_int32, [c_void_p, c_uint32, POINTER(MemoryTensor), _ERROR]),
    "fxc_formula_generation": (
        c_int32,
        [c_void_p, c_char_p, c_void_p, c_char_p, c_char_p, POINTER(c_void_p), _ERROR],
    ),
    "fxc_formula_new": (c_int32, [c_void_p, c_char_p, POINTER(c_void_p), _ERROR]),
    "fxc_formula_free": (None, [c_void_p]),
    "fxc_device_get": (c_int32, [c_uint32, POINTER(DeviceInfo), _ERROR]),
    "fxc_formula_get_info": (c_int32, [c_void_p, POINTER(FormulaInfo), _ERROR]),
    "fxc_formula_step": (c_char_p, [c_void_p, c_uint32]),
    "fxc_formula_evaluate": (c_int32, [c_void_p, POINTER(_Size), c_size_t, POINTER(c_int64), _ERROR]),
    "fxc_analysis_render": (c_int32, [c_void_p, POINTER(_RenderOptions), _WRITE, c_void_p, _ERROR]),
}


def package_file(folder: str, name: str) -> Path:
    """A file that the package carries, ``lib/libfxcost.so.0`` or ``bin/fxcost``."""
    return Path(__file__).parent / folder / name


@functools.cache
def library() -> ctypes.CDLL:
    """The C library: the package's own, or the one that FXCOST_LIBRARY names (for working on fxcost itself)."""
    path = os.environ.get("FXCOST_LIBRARY") or str(package_file("lib", "libfxcost.so.0"))
    try:
        loaded = ctypes.CDLL(path)
    except OSError as error:
        raise FxcostError(f"{path}\n  expected: the C library of fxcost\n  found: {error}", "IO") from None
    return loaded


def declare(signatures: dict[str, tuple[Any, list[Any]]]) -> None:
    """Adds functions of the library that another module calls: result and arguments by name."""
    _SIGNATURES.update(signatures)


@functools.cache
def function(name: str) -> Any:
    """A declared function of the library."""
    found = getattr(library(), name)
    found.restype, found.argtypes = _SIGNATURES[name]
    return found


@functools.cache
def enumeration(name: str) -> dict[str, int]:
    """Numbers of an enumeration of include/fxcost/enums.h by text; for a bit set the numbers are bit positions."""
    numbers: dict[str, int] = {}
    while (text := function("fxc_enum_text")(name.encode(), len(numbers))) is not None:
        numbers[text.decode()] = len(numbers)
    if not numbers:
        raise KeyError(name)
    return numbers


def _call(name: str, *arguments: Any) -> None:
    """Calls a function that takes an error last; raises what it reports."""
    error = _Error()
    status = function(name)(*arguments, byref(error))
    if status != Status.OK:
        raise FxcostError(error.message.decode(errors="replace") or name, Status(status).name)


def _collect(call: Callable[[Any], None]) -> str:
    """The text that a function writes through its fxc_write_fn."""
    parts: list[bytes] = []

    @_WRITE
    def write(_context: int, text: int, size: int) -> bool:
        parts.append(ctypes.string_at(text, size))
        return True

    call(write)
    return b"".join(parts).decode()


class Program:
    """A loaded .fxir program: immutable, may be shared between threads."""

    def __init__(self, handle: c_void_p) -> None:
        self._handle = handle
        weakref.finalize(self, function("fxc_program_free"), handle)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Program:
        """Opens a .fxir or text-form file."""
        handle = c_void_p()
        _call("fxc_program_open", os.fsencode(path), byref(handle))
        return cls(handle)

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "memory") -> Program:
        """A program from the bytes of a .fxir or text-form file."""
        handle = c_void_p()
        _call("fxc_program_from_memory", data, len(data), name.encode(), byref(handle))
        return cls(handle)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Program):
            return NotImplemented
        equal = c_bool()
        _call("fxc_program_equal", self._handle, other._handle, byref(equal))
        return equal.value

    __hash__ = object.__hash__

    def call(self, name: str, *arguments: Any) -> None:
        """Calls a function that takes the program first and an error last."""
        _call(name, self._handle, *arguments)

    def info(self) -> ProgramInfo:
        """The head of the program."""
        info = ProgramInfo()
        _call("fxc_program_get_info", self._handle, byref(info))
        return info

    def at(self, **inputs: Any) -> Program:
        """The program at other sizes of its inputs, by rules: ``program.at(x=(8, 3, 64, 64))``, or with an element type
        ``program.at(ids=((8, 128), "int64"))``.

        Inputs go by their names in the captured program; those not named keep their sizes."""
        rows = (_InputShape * len(inputs))()
        for row, (name, asked) in zip(rows, inputs.items(), strict=True):
            typed = len(asked) == 2 and isinstance(asked[1], str)
            numbers = tuple(asked[0] if typed else asked)
            row.name, row.rank = name.encode(), len(numbers)
            row.dtype = enumeration("dtype").get(asked[1], -2) if typed else -1
            row.size = (c_int64 * len(numbers))(*numbers)
        options = _ReshapeOptions()
        options.inputs, options.input_count = rows, len(rows)
        handle = c_void_p()
        _call("fxc_program_reshape", self._handle, byref(options), byref(handle))
        return Program(handle)

    def text(self) -> str:
        """The text form."""
        return _collect(lambda write: _call("fxc_program_print", self._handle, write, None))


class Analysis:
    """A program under options. Facts are computed when first asked for."""

    def __init__(self, program: Program, **options: str) -> None:
        self.program = program
        self._handle = c_void_p()
        self.kept: list[Any] = []  # callbacks that C holds
        self.raised: BaseException | None = None  # by one of them
        _call("fxc_analysis_new", program._handle, byref(self._handle))
        weakref.finalize(self, function("fxc_analysis_free"), self._handle)
        for option, value in options.items():
            self.set(option, value)

    def call(self, name: str, *arguments: Any) -> None:
        """Calls a function that takes the analysis first and an error last; an exception that a callback raised
        comes before what the library says of it."""
        self.raised = None
        try:
            _call(name, self._handle, *arguments)
        except FxcostError:
            if self.raised is not None:
                raise self.raised from None
            raise

    def set(self, option: str, value: str) -> None:
        """Sets ``convention``, ``profile``, ``device``, ``dim.NAME`` or ``probability.NAME``."""
        self.call("fxc_analysis_set", option.encode(), value.encode())

    def set_forward(self, program: Program) -> None:
        """Of a training step: its forward pass alone, for conventions of tools that see no more."""
        self.call("fxc_analysis_set_forward", program._handle)
        self._forward = program  # kept as long as this

    def require(self, fact: str) -> None:
        """Computes a fact and what it needs."""
        self.call("fxc_require", fact.encode())

    def totals(self) -> Totals:
        totals = Totals()
        self.call("fxc_analysis_totals", byref(totals))
        return totals

    def node(self, index: int) -> NodeCost:
        cost = NodeCost()
        self.call("fxc_analysis_node", index, byref(cost))
        return cost

    def nodes(self) -> Iterator[NodeCost]:
        """Costs of all nodes in order."""
        return (self.node(index) for index in range(self.program.info().nodes))

    def report(self, by: str) -> dict[str, Any]:
        """The JSON report (docs/report.schema.json) as Python data; its rows are under "rows"."""
        data: dict[str, Any] = json.loads(self.render(format="json", by=by))
        return data

    def memory(self) -> MemorySummary:
        summary = MemorySummary()
        self.call("fxc_memory_get_summary", byref(summary))
        return summary

    def memory_at(self, node: int) -> MemoryAt:
        at = MemoryAt()
        self.call("fxc_memory_get_node", node, byref(at))
        return at

    def fits(self) -> Fit:
        """Whether a run fits into the memory of the device that is set."""
        fit = Fit()
        self.call("fxc_memory_fits", byref(fit))
        return fit

    def largest(self, dimension: str) -> int:
        """The largest size of a dynamic dimension with which a run fits, the others as they are; 0 for none."""
        value = c_int64()
        self.call("fxc_memory_largest", dimension.encode(), byref(value))
        return value.value

    def peak_tensors(self) -> Iterator[MemoryTensor]:
        """What is alive at the peak, largest first."""
        for index in range(self.memory().tensors):
            tensor = MemoryTensor()
            self.call("fxc_memory_get_tensor", index, byref(tensor))
            yield tensor

    def render(self, **options: Any) -> str:
        """The report as text; options are the fields of ``fxc_render_options``."""
        request = _RenderOptions()
        for name, value in options.items():
            if value is not None:
                setattr(request, name, value.encode() if isinstance(value, str) else value)
        return _collect(lambda write: self.call("fxc_analysis_render", byref(request), write, None))


class Formula:
    """A quantity of a program as an exact formula in its dynamic dimensions (include/fxcost/formula.h)."""

    def __init__(self, program: Program, quantity: str, step: Program | None = None) -> None:
        """With ``step``, a step over a cache: of generating tokens (fxc_formula_generation)."""
        self.program = program
        self._handle = c_void_p()
        if step is None:
            _call("fxc_formula_new", program._handle, quantity.encode(), byref(self._handle))
        else:
            programs = program._handle, b"prompt", step._handle, b"cache"
            _call("fxc_formula_generation", *programs, quantity.encode(), byref(self._handle))
        weakref.finalize(self, function("fxc_formula_free"), self._handle)
        info = FormulaInfo()
        _call("fxc_formula_get_info", self._handle, byref(info))
        self.kind = ("polynomial", "piecewise", "none")[info.kind]
        self.text, self.domain = info.text.decode(), info.domain.decode()
        self.steps = [function("fxc_formula_step")(self._handle, i).decode() for i in range(info.steps)]
        self.solved_at, self.verified_at, self.refused_at = info.solved_at, info.verified_at, info.refused_at

    def evaluate(self, **sizes: int) -> int:
        """The value at these sizes; FxcostError out of the captured ranges."""
        rows = (_Size * len(sizes))(*(_Size(name.encode(), size) for name, size in sizes.items()))
        value = c_int64()
        _call("fxc_formula_evaluate", self._handle, rows, len(sizes), byref(value))
        return value.value


def device_peak(name: str, precision: str) -> float:
    """Published FLOP/s of matrix products on a device, in "f32" or, for a 16-bit type, "bf16"."""
    info, index = DeviceInfo(), 0
    while function("fxc_device_get")(index, byref(info), None) == Status.OK:
        if info.name.decode() == name:
            return float(info.flops_per_second_bf16 if precision in ("bf16", "f16") else info.flops_per_second_f32)
        index += 1
    raise FxcostError(f"device {name!r}\n  expected: a name that this lists: fxcost devices", "DEVICE")


def seconds_or_none(seconds: float) -> float | None:
    """The C library says NAN where no device is named."""
    return None if math.isnan(seconds) else seconds
