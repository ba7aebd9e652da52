"""Structures and functions of the C library as ctypes knows them, in the order of include/fxcost/*.h."""

from __future__ import annotations

import ctypes
import enum
from ctypes import (
    POINTER,
    Structure,
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
from typing import Any


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


class Sized(Structure):
    """A structure that crosses the C boundary: its first field is its size."""

    def __init__(self) -> None:
        super().__init__(ctypes.sizeof(type(self)))


class Error(Sized):
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


class Totals(Sized):
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


class NodeCost(Sized):
    """``fxc_node_cost``: cost of one execution of a node."""

    _fields_ = [("struct_size", c_size_t), ("counts", Counts), ("times", c_int64), ("coverage", c_uint8)]
    _fields_ += [("bound", c_uint8), ("seconds", c_double), ("expected_times", c_double)]
    _fields_ += [("work", c_uint8), ("source", c_uint8), ("efficiency", c_double), ("error", c_double)]


class ProgramInfo(Sized):
    """``fxc_program_info``: the head of a program."""

    _fields_ = [("struct_size", c_size_t), ("format_major", c_uint16), ("format_minor", c_uint16)]
    _fields_ += [(name, c_uint32) for name in ("nodes", "values", "graphs", "modules", "ops", "symbols", "params")]
    _fields_ += [(name, c_char_p) for name in ("file", "producer", "torch_version", "model", "route", "dialect")]
    _fields_ += [("inputs", c_char_p), ("training", c_bool), ("grad", c_bool)]


class DeviceInfo(Sized):
    """``fxc_device_info``: published figures of a device; 0 where there is none."""

    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("description", c_char_p), ("source", c_char_p)]
    _fields_ += [("memory_bytes", c_double), ("memory_bytes_per_second", c_double), ("flops_per_second_f32", c_double)]
    _fields_ += [("flops_per_second_bf16", c_double), ("kernel_overhead_seconds", c_double)]


class MemorySummary(Sized):
    """``fxc_memory_summary``: the peak of one run."""

    _fields_ = [("struct_size", c_size_t), ("peak_bytes", c_int64), ("peak_node", c_uint32), ("tensors", c_uint32)]
    _fields_ += [(name, c_int64) for name in ("given_bytes", "hidden_bytes", "state_bytes", "step_bytes")]
    _fields_ += [(name, c_int64) for name in ("allocated_bytes", "reserved_bytes", "unsized", "untold")]


class Fit(Sized):
    """``fxc_fit``: whether a run fits on a device."""

    _fields_ = [("struct_size", c_size_t), ("fits", c_bool), ("needed", c_int64), ("capacity", c_int64)]
    _fields_ += [("token_bytes", c_int64), ("bound", c_bool)]


class MemoryAt(Sized):
    """``fxc_memory_at``: bytes alive at a node."""

    _fields_ = [("struct_size", c_size_t), ("before", c_int64), ("after", c_int64), ("most", c_int64)]


class MemoryTensor(Sized):
    """``fxc_memory_tensor``: a storage that is alive at the peak."""

    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("bytes", c_int64), ("value", c_uint32)]
    _fields_ += [("producer", c_uint32), ("origin", c_uint8)]


class FormulaInfo(Sized):
    """``fxc_formula_info``: a closed form and how it was found."""

    _fields_ = [("struct_size", c_size_t), ("quantity", c_char_p), ("text", c_char_p), ("domain", c_char_p)]
    _fields_ += [("kind", c_uint8)]
    _fields_ += [(name, c_uint32) for name in ("terms", "steps", "solved_at", "verified_at", "refused_at")]
    _fields_ += [("unknown_nodes", c_int64)]


class Size(Structure):
    _fields_ = [("dim", c_char_p), ("value", c_int64)]


class InputShape(Structure):
    _fields_ = [("name", c_char_p), ("size", POINTER(c_int64)), ("rank", c_uint32), ("dtype", c_int32)]


class ReshapeOptions(Sized):
    _fields_ = [("struct_size", c_size_t), ("inputs", POINTER(InputShape)), ("input_count", c_size_t)]


class RenderOptions(Sized):
    _fields_ = [("struct_size", c_size_t)] + [(name, c_char_p) for name in ("format", "by", "sort", "root")]
    _fields_ += [("depth", c_uint32), ("top", c_uint32), ("raw", c_bool), ("unfold", c_bool), ("memory", c_bool)]
    _fields_ += [("axis", c_char_p), ("own", c_bool)]


WRITE = ctypes.CFUNCTYPE(c_bool, c_void_p, c_void_p, c_size_t)
ERROR = POINTER(Error)
SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "fxc_version": (c_char_p, []),
    "fxc_enum_text": (c_char_p, [c_char_p, c_uint32]),
    "fxc_program_open": (c_int32, [c_char_p, POINTER(c_void_p), ERROR]),
    "fxc_program_from_memory": (c_int32, [c_char_p, c_size_t, c_char_p, POINTER(c_void_p), ERROR]),
    "fxc_program_free": (None, [c_void_p]),
    "fxc_program_print": (c_int32, [c_void_p, WRITE, c_void_p, ERROR]),
    "fxc_program_equal": (c_int32, [c_void_p, c_void_p, POINTER(c_bool), ERROR]),
    "fxc_program_reshape": (c_int32, [c_void_p, POINTER(ReshapeOptions), POINTER(c_void_p), ERROR]),
    "fxc_program_get_info": (c_int32, [c_void_p, POINTER(ProgramInfo), ERROR]),
    "fxc_analysis_new": (c_int32, [c_void_p, POINTER(c_void_p), ERROR]),
    "fxc_analysis_free": (None, [c_void_p]),
    "fxc_analysis_set_forward": (c_int32, [c_void_p, c_void_p, ERROR]),
    "fxc_analysis_set": (c_int32, [c_void_p, c_char_p, c_char_p, ERROR]),
    "fxc_require": (c_int32, [c_void_p, c_char_p, ERROR]),
    "fxc_analysis_totals": (c_int32, [c_void_p, POINTER(Totals), ERROR]),
    "fxc_analysis_node": (c_int32, [c_void_p, c_uint32, POINTER(NodeCost), ERROR]),
    "fxc_memory_get_summary": (c_int32, [c_void_p, POINTER(MemorySummary), ERROR]),
    "fxc_memory_fits": (c_int32, [c_void_p, POINTER(Fit), ERROR]),
    "fxc_memory_largest": (c_int32, [c_void_p, c_char_p, POINTER(c_int64), ERROR]),
    "fxc_memory_get_node": (c_int32, [c_void_p, c_uint32, POINTER(MemoryAt), ERROR]),
    "fxc_memory_get_tensor": (c_int32, [c_void_p, c_uint32, POINTER(MemoryTensor), ERROR]),
    "fxc_formula_generation": (
        c_int32,
        [c_void_p, c_char_p, c_void_p, c_char_p, c_char_p, POINTER(c_void_p), ERROR],
    ),
    "fxc_formula_new": (c_int32, [c_void_p, c_char_p, POINTER(c_void_p), ERROR]),
    "fxc_formula_free": (None, [c_void_p]),
    "fxc_device_get": (c_int32, [c_uint32, POINTER(DeviceInfo), ERROR]),
    "fxc_formula_get_info": (c_int32, [c_void_p, POINTER(FormulaInfo), ERROR]),
    "fxc_formula_step": (c_char_p, [c_void_p, c_uint32]),
    "fxc_formula_evaluate": (c_int32, [c_void_p, POINTER(Size), c_size_t, POINTER(c_int64), ERROR]),
    "fxc_analysis_render": (c_int32, [c_void_p, POINTER(RenderOptions), WRITE, c_void_p, ERROR]),
}
