"""Formulas, metrics, exclusions and factors of the user's own: what fxcost/op.h offers, for Python."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable, Mapping
from ctypes import POINTER, byref, c_bool, c_char_p, c_int32, c_int64, c_size_t, c_uint8, c_uint32, c_void_p
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .abi import ERROR, Counts
from .binding import Analysis, Status, declare, enumeration, function
from .errors import FxcostError, usage

Answer = int | Mapping[str, int] | None


class _TensorInfo(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("size", POINTER(c_int64)), ("stride", POINTER(c_int64))]
    _fields_ += [("numel", c_int64), ("rank", c_uint32), ("dtype", c_uint8)]


_COUNT = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(Counts), c_void_p, c_void_p)
_MEASURE = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(c_int64), c_void_p, c_void_p)


class _OpDesc(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("is_module", c_bool)]
    _fields_ += [("count", _COUNT), ("context", c_void_p)]


class _MetricDesc(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("metric", c_char_p), ("name", c_char_p), ("is_module", c_bool)]
    _fields_ += [("measure", _MEASURE), ("context", c_void_p)]


declare(
    {
        "fxc_analysis_add_op": (c_int32, [c_void_p, POINTER(_OpDesc), ERROR]),
        "fxc_analysis_add_metric": (c_int32, [c_void_p, POINTER(_MetricDesc), ERROR]),
        "fxc_analysis_add_formulas": (c_int32, [c_void_p, c_char_p, c_size_t, c_char_p, ERROR]),
        "fxc_analysis_ignore_op": (c_int32, [c_void_p, c_char_p, ERROR]),
        "fxc_analysis_ignore_module": (c_int32, [c_void_p, c_char_p, ERROR]),
        "fxc_analysis_scale_op": (c_int32, [c_void_p, c_char_p, c_char_p, ERROR]),
        "fxc_op_call_name": (c_char_p, [c_void_p]),
        "fxc_op_call_tensor": (c_bool, [c_void_p, c_char_p, POINTER(_TensorInfo)]),
        "fxc_op_call_result": (c_bool, [c_void_p, c_uint32, POINTER(_TensorInfo)]),
        "fxc_op_call_counts": (c_bool, [c_void_p, POINTER(Counts)]),
        "fxc_op_call_int": (c_bool, [c_void_p, c_char_p, POINTER(c_int64)]),
    }
)


# ---- what a formula sees --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TensorInfo:
    """A tensor of a call: sizes, strides in elements, torch's name of the element type, number of elements."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: str
    numel: int


@dataclass(frozen=True)
class NodeCounts:
    """What one execution of an operator does, each number apart (include/fxcost/fxcost.h)."""

    macs: int
    matrix_flops: int
    vector_flops: int
    transcendentals: int
    int_ops: int
    bytes_read: int
    bytes_written: int
    kernels: int

    @property
    def flops(self) -> int:
        return self.matrix_flops + self.vector_flops


class Call:
    """One execution of an operator, or one call of a module; valid while the formula runs."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    @property
    def name(self) -> str:
        """The operator ("aten.mm.default"), or the module's class."""
        return str(function("fxc_op_call_name")(self._handle).decode())

    def __getitem__(self, argument: str) -> TensorInfo:
        """A tensor argument by its name in the schema; of a module "in0", "in1"; "tensors.0" is an item of a list.
        KeyError when there is none or its sizes are not known."""
        info = _TensorInfo(ctypes.sizeof(_TensorInfo))
        if not function("fxc_op_call_tensor")(self._handle, argument.encode(), byref(info)):
            raise KeyError(argument)
        return _tensor(info)

    def result(self, index: int = 0) -> TensorInfo:
        """A tensor result. KeyError when there is none or its sizes are not known."""
        info = _TensorInfo(ctypes.sizeof(_TensorInfo))
        if not function("fxc_op_call_result")(self._handle, index, byref(info)):
            raise KeyError(f"result {index}")
        return _tensor(info)

    def int(self, argument: str, default: int | None = None) -> int:  # type: ignore[valid-type]
        """An integer argument; of a module an entry of its configuration. KeyError when it is absent and there is no
        default."""
        value = c_int64()
        if function("fxc_op_call_int")(self._handle, argument.encode(), byref(value)):
            return value.value
        if default is None:
            raise KeyError(argument)
        return default

    @property
    def counts(self) -> NodeCounts:
        """What the operator does by fxcost's own formulas and yours, for the formula of a metric. KeyError elsewhere,
        of a module's call, and of an operator without a formula."""
        counts = Counts()
        if not function("fxc_op_call_counts")(self._handle, byref(counts)):
            raise KeyError("counts")
        return NodeCounts(**{name: getattr(counts, name) for name in NodeCounts.__dataclass_fields__})


def _tensor(info: _TensorInfo) -> TensorInfo:
    names = {number: text for text, number in enumeration("dtype").items()}
    rank = info.rank
    return TensorInfo(tuple(info.size[:rank]), tuple(info.stride[:rank]), names[info.dtype], info.numel)


# ---- formulas -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OpFormula:
    """A formula for an operator or a module class; made by :func:`formula`."""

    name: str
    is_module: bool
    function: Callable[[Call], Answer]


def formula(target: str | type) -> Callable[[Callable[[Call], Answer]], OpFormula]:
    """Makes a formula of a function, for one overload ("mylib.scan.default"), all overloads ("mylib::scan"), or a
    module class::

        @fxcost.formula("mylib::scan")
        def scan(call):
            return {"macs": call["x"].numel * call.int("steps")}

        fxcost.analyze(model, args, formulas=[scan])

    The function returns FLOPs, or a dict of macs, matrix_flops (twice the MACs unless given), vector_flops,
    transcendentals and int_ops, or None when it cannot tell.
    """
    return lambda function: OpFormula(*_named(target), function)


def _named(target: str | type) -> tuple[str, bool]:
    """How the library names a target, and whether it is a module class."""
    if isinstance(target, str):
        return target, False
    return f"{target.__module__}.{target.__qualname__}", True


@dataclass(frozen=True)
class MetricFormula:
    """A formula of a metric of one's own; made by :func:`metric`."""

    metric: str
    name: str
    is_module: bool
    function: Callable[[Call], int | None]


def metric(name: str, target: str | type = "*") -> Callable[[Callable[[Call], int | None]], MetricFormula]:
    """Makes a function a formula of a metric of your own, which reports add up and show as they do FLOPs. The target
    is an operator or module class as for :func:`formula`, by default every operator that computes or runs a kernel::

        @fxcost.metric("energy_pj")
        def energy(call):
            return 5 * call.counts.macs + 640 * (call.counts.bytes_read + call.counts.bytes_written) // 4

        report = fxcost.analyze(model, args, formulas=[energy])
        report.metrics["energy_pj"].value

    The function returns a number of 0 or more, or None when it cannot tell.
    """
    return lambda function: MetricFormula(name, *_named(target), function)


_FIELDS = ("macs", "matrix_flops", "vector_flops", "transcendentals", "int_ops")


def _write(answer: Answer, counts: Counts) -> None:
    if isinstance(answer, int):
        answer = {"vector_flops": answer}
    assert answer is not None
    unknown = set(answer) - set(_FIELDS)
    if unknown:
        raise usage(f"a formula returned {', '.join(sorted(unknown))}", f"one of {', '.join(_FIELDS)}")
    for name, value in answer.items():
        setattr(counts, name, int(value))
    if "matrix_flops" not in answer:
        counts.matrix_flops = 2 * counts.macs


Formulas = OpFormula | MetricFormula | str | os.PathLike[str]


@dataclass
class Corrections:
    """What the user adds to an analysis. ``formulas`` are :func:`formula` and :func:`metric` objects and paths of text
    files; ``scale`` multiplies counts of operators by decimal numbers."""

    formulas: Iterable[Formulas] = ()
    ignore_ops: Iterable[str] = ()
    ignore_modules: Iterable[str] = ()
    scale: Mapping[str, float | str] = field(default_factory=dict)

    def apply(self, analysis: Analysis) -> None:
        """Gives them to an analysis, which keeps what must live as long as it."""
        for entry in self.formulas:
            if isinstance(entry, OpFormula):
                analysis.kept.append(_add_formula(analysis, entry))
            elif isinstance(entry, MetricFormula):
                analysis.kept.append(_add_metric(analysis, entry))
            else:
                data = _read(Path(entry))
                analysis.call("fxc_analysis_add_formulas", data, c_size_t(len(data)), os.fsencode(entry))
        for name in self.ignore_ops:
            analysis.call("fxc_analysis_ignore_op", name.encode())
        for name in self.ignore_modules:
            analysis.call("fxc_analysis_ignore_module", name.encode())
        for name, factor in self.scale.items():
            text = factor if isinstance(factor, str) else f"{factor:.9f}".rstrip("0").rstrip(".")
            analysis.call("fxc_analysis_scale_op", name.encode(), text.encode())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FxcostError(f"{path}: {error.strerror}", status="IO") from None


def _callback(kind: Any, analysis: Analysis, ask: Callable[[Call], Any], write: Callable[[Any, Any], None]) -> Any:
    """A function for the library that asks ``ask`` about a call and writes its answer."""

    def call_back(call: int, out: Any, context: int, error: int) -> int:
        try:
            answer = ask(Call(call))
            if answer is None:
                return Status.UNKNOWN_OPS
            write(answer, out.contents)
        except Exception as raised:  # noqa: BLE001  no exception may pass through C: it is raised after the call
            analysis.raised = raised
            return Status.USAGE
        return Status.OK

    return kind(call_back)


def _write_number(answer: int, out: Any) -> None:
    out.value = int(answer)


def _add_metric(analysis: Analysis, entry: MetricFormula) -> Any:
    callback = _callback(_MEASURE, analysis, entry.function, _write_number)
    names = entry.metric.encode(), entry.name.encode()
    desc = _MetricDesc(ctypes.sizeof(_MetricDesc), *names, entry.is_module, callback, None)
    analysis.call("fxc_analysis_add_metric", byref(desc))
    return callback


def _add_formula(analysis: Analysis, entry: OpFormula) -> Any:
    callback = _callback(_COUNT, analysis, entry.function, _write)
    desc = _OpDesc(ctypes.sizeof(_OpDesc), entry.name.encode(), entry.is_module, callback, None)
    analysis.call("fxc_analysis_add_op", byref(desc))
    return callback
