"""Kernels of a program under a fusion profile: which nodes run as one, and what each kernel touches and computes."""

from __future__ import annotations

import math
from ctypes import (
    POINTER,
    byref,
    c_bool,
    c_char,
    c_char_p,
    c_double,
    c_int32,
    c_int64,
    c_size_t,
    c_uint8,
    c_uint32,
    c_void_p,
)
from dataclasses import dataclass

from .abi import ERROR, Sized
from .binding import Analysis, Program, declare


class KernelInfo(Sized):
    """``fxc_kernel_info``: what runs as one under the profile."""

    _fields_ = [("struct_size", c_size_t), ("kind", c_uint8), ("kind_text", c_char_p), ("nodes", POINTER(c_uint32))]
    _fields_ += [(name, c_uint32) for name in ("node_count", "accesses", "operations", "outer_rank", "folded_rank")]
    _fields_ += [("sizes", POINTER(c_int64))]
    _fields_ += [(name, c_int64) for name in ("bytes_read", "bytes_written", "bytes_copied", "bytes_reread")]
    _fields_ += [(name, c_int64) for name in ("inductor_bytes", "eager_bytes")]
    _fields_ += [(name, c_int64) for name in ("bytes_saved", "matrix_flops", "vector_flops", "transcendentals")]
    _fields_ += [("executed_flops", c_int64), ("executed_transcendentals", c_int64)]
    _fields_ += [(name, c_double) for name in ("intensity", "seconds", "efficiency", "error")]
    _fields_ += [(name, c_uint8) for name in ("work", "bound", "source")]
    _fields_ += [(name, c_int64) for name in ("live_before", "peak_bytes", "live_after")]


class KernelPeak(Sized):
    """``fxc_kernel_peak``: the peak of memory over kernels."""

    _fields_ = [("struct_size", c_size_t), ("peak_bytes", c_int64), ("given_bytes", c_int64), ("kernel", c_uint32)]


class KernelAccess(Sized):
    """``fxc_kernel_access_info``: a buffer that a kernel touches."""

    _fields_ = [("struct_size", c_size_t), ("value", c_uint32), ("node", c_uint32), ("buffer", c_uint32)]
    _fields_ += [("name", c_char_p), ("written", c_bool), ("bytes", c_int64), ("inductor_bytes", c_int64)]


class _Explanation(Sized):
    """``fxc_explanation``: why two nodes are or are not one kernel."""

    _fields_ = [("struct_size", c_size_t), ("together", c_bool), ("reason", c_char_p)]
    _fields_ += [("kernel_a", c_uint32), ("kernel_b", c_uint32), ("text", c_char * 4096)]


class NodeInfo(Sized):
    """``fxc_node_info``: name, operator and place of a node."""

    _fields_ = [("struct_size", c_size_t), ("graph", c_uint32), ("name", c_char_p), ("op", c_char_p)]
    _fields_ += [("file", c_char_p), ("line", c_uint32), ("call", c_uint32)]


declare(
    {
        "fxc_analysis_kernel": (c_int32, [c_void_p, c_uint32, POINTER(KernelInfo), ERROR]),
        "fxc_analysis_kernel_access": (c_int32, [c_void_p, c_uint32, c_uint32, POINTER(KernelAccess), ERROR]),
        "fxc_analysis_kernel_count": (c_int32, [c_void_p, POINTER(c_uint32), ERROR]),
        "fxc_analysis_kernel_peak": (c_int32, [c_void_p, POINTER(KernelPeak), ERROR]),
        "fxc_fusion_explain": (c_int32, [c_void_p, c_char_p, c_char_p, POINTER(_Explanation), ERROR]),
        "fxc_program_get_node": (c_int32, [c_void_p, c_uint32, POINTER(NodeInfo), ERROR]),
    }
)


@dataclass(frozen=True)
class Buffer:
    """A buffer that a kernel touches. ``inductor_bytes`` is what Inductor's own counter says of it."""

    name: str
    number: int
    written: bool
    bytes: int
    inductor_bytes: int


@dataclass(frozen=True)
class Kernel:
    """What runs as one. ``nodes`` are names; a node that is recomputed is in several kernels. ``seconds`` and ``bound``
    are predictions, None without a device. ``live_before`` bytes are alive before it runs, inputs and parameters among
    them, ``peak_bytes`` while it does."""

    kind: str
    nodes: tuple[str, ...]
    sizes: tuple[int, ...]
    folded: tuple[int, ...]
    buffers: tuple[Buffer, ...]
    operations: int
    bytes_read: int
    bytes_written: int
    bytes_copied: int
    bytes_reread: int
    inductor_bytes: int
    eager_bytes: int
    bytes_saved: int
    matrix_flops: int
    vector_flops: int
    transcendentals: int
    executed_flops: int
    executed_transcendentals: int
    live_before: int
    peak_bytes: int
    intensity: float
    seconds: float | None
    bound: str | None


# fxc_bound
_BOUNDS = ("unknown", "compute", "memory", "overhead")


def _buffer(analysis: Analysis, kernel: int, index: int) -> Buffer:
    access = KernelAccess()
    analysis.call("fxc_analysis_kernel_access", kernel, index, byref(access))
    return Buffer(access.name.decode(), access.buffer, access.written, access.bytes, access.inductor_bytes)


def _node_names(analysis: Analysis, info: KernelInfo) -> tuple[str, ...]:
    node = NodeInfo()
    names = []
    for index in info.nodes[: info.node_count]:
        analysis.program.call("fxc_program_get_node", index, byref(node))
        names.append(node.name.decode())
    return tuple(names)


def _kernel(analysis: Analysis, index: int) -> Kernel:
    info = KernelInfo()
    analysis.call("fxc_analysis_kernel", index, byref(info))
    sizes = tuple(info.sizes[: info.outer_rank + info.folded_rank])
    numbers: tuple[str, ...] = (
        "operations",
        "bytes_read",
        "bytes_written",
        "bytes_copied",
        "bytes_reread",
        "inductor_bytes",
        "eager_bytes",
        "bytes_saved",
    )
    numbers += ("matrix_flops", "vector_flops", "transcendentals", "executed_flops", "executed_transcendentals")
    numbers += ("live_before", "peak_bytes")
    return Kernel(
        kind=info.kind_text.decode(),
        nodes=_node_names(analysis, info),
        sizes=sizes[: info.outer_rank],
        folded=sizes[info.outer_rank :],
        buffers=tuple(_buffer(analysis, index, i) for i in range(info.accesses)),
        intensity=info.intensity,
        seconds=None if math.isnan(info.seconds) else info.seconds,
        bound=None if math.isnan(info.seconds) else _BOUNDS[info.bound],
        **{name: getattr(info, name) for name in numbers},
    )


def kernels(program: Program, profile: str, device: str | None = None) -> list[Kernel]:
    """The kernels of a program under a profile (``fxcost profiles`` lists them), in an order in which they can run;
    with a device (``fxcost devices``) their predicted times."""
    analysis = Analysis(program, profile=profile, **({"device": device} if device else {}))
    return [_kernel(analysis, index) for index in range(_count(analysis))]


def peak(program: Program, profile: str) -> tuple[int, int]:
    """Bytes alive at most when a program runs as the kernels of a profile, and those that the caller holds of them."""
    found = KernelPeak()
    Analysis(program, profile=profile).call("fxc_analysis_kernel_peak", byref(found))
    return found.peak_bytes, found.given_bytes


def kernel_count(program: Program, profile: str) -> int:
    """How many kernels a program runs as under a profile."""
    return _count(Analysis(program, profile=profile))


def _count(analysis: Analysis) -> int:
    count = c_uint32()
    analysis.call("fxc_analysis_kernel_count", byref(count))
    return count.value


@dataclass(frozen=True)
class Explanation:
    """Why two nodes are or are not one kernel. ``kernels`` are the two that were compared, None for a node in none;
    ``reason`` is a word of the table in docs/fusion.md, ``text`` says it with its limits."""

    together: bool
    reason: str
    kernels: tuple[int | None, int | None]
    text: str


def explain(program: Program, profile: str, a: str, b: str) -> Explanation:
    """Why nodes ``a`` and ``b`` are or are not one kernel. A captured node stands for what was lowered from it."""
    found = _Explanation()
    Analysis(program, profile=profile).call("fxc_fusion_explain", a.encode(), b.encode(), byref(found))
    none = 2**32 - 1
    first, second = (None if kernel == none else kernel for kernel in (found.kernel_a, found.kernel_b))
    return Explanation(found.together, found.reason.decode(), (first, second), found.text.decode())
