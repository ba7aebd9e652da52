"""fxcost's formulas in torch.utils.flop_counter, for operators that torch's own counter leaves out."""

from __future__ import annotations

import functools
from ctypes import POINTER, byref, c_bool, c_char_p, c_int32, c_size_t, c_uint32
from typing import Any

import torch

from ..abi import ERROR, Sized, Status
from ..binding import declare, function
from ..errors import FxcostError
from .call import matrix_flops, of_call
from .hooks import seam


class _OpInfo(Sized):
    """``fxc_op_info``: a row of the operator table."""

    _fields_ = [("struct_size", c_size_t)]
    _fields_ += [(text, c_char_p) for text in ("name", "schema", "shape_rule", "flop_rule", "fuse", "touch")]
    _fields_ += [(text, c_char_p) for text in ("eager", "autocast", "alias", "doc")]
    _fields_ += [("activation", c_bool)]


declare({"fxc_op_get": (c_int32, [c_uint32, POINTER(_OpInfo), ERROR])})


class FlopFormulas:
    """Formulas that were registered; taken back by ``remove()`` or at the end of a ``with`` block."""

    def __init__(self, packets: list[Any]) -> None:
        self.packets = packets

    def remove(self) -> None:
        registry = _registry()
        for packet in self.packets:
            registry.pop(packet, None)
        self.packets = []

    def __enter__(self) -> FlopFormulas:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def register_flop_formulas() -> FlopFormulas:
    """Registers fxcost's formulas with ``torch.utils.flop_counter.register_flop_formula``, for the operators that are
    matrix products, convolutions, attention or recurrences and of which torch's table knows nothing: fused attention
    on a CPU, recurrent layers, mv, dot, bilinear, grouped products and others. Counted as torch counts: products only.

    FlopCounterMode, and what else reads the table (the partitioner's "flops" mode, the estimates of overlap
    scheduling), then count them. Operators that torch takes apart into counted ones are left to torch."""
    register: Any = seam("torch.utils.flop_counter", "register_flop_formula", "register_flop_formulas()")
    known = _registry()
    packets = [packet for packet in _counted() if packet not in known]
    for packet in packets:
        register(packet, get_raw=True)(functools.partial(_count, packet))
    return FlopFormulas(packets)


def _registry() -> dict[Any, Any]:
    found: dict[Any, Any] = seam("torch.utils.flop_counter", "flop_registry", "register_flop_formulas()")
    return found


def _counted() -> list[Any]:
    """Operators of the table that compute products and that this torch has, but for those that it takes apart."""
    packets: dict[Any, None] = {}
    for full in sorted(_anchors()):
        namespace, _, rest = full.partition(".")
        name, _, overload = rest.partition(".")
        packet = getattr(getattr(torch.ops, namespace, None), name, None)
        found = getattr(packet, overload, None) if isinstance(packet, torch._ops.OpOverloadPacket) else None
        if isinstance(found, torch._ops.OpOverload) and not _taken_apart(found):
            packets[packet] = None
    return list(packets)


def is_anchor(operator: torch._ops.OpOverload) -> bool:
    """Whether an operator is a product, a convolution, attention or a recurrence."""
    return str(operator) in _anchors()


@functools.cache
def _anchors() -> frozenset[str]:
    names, row, index = set(), _OpInfo(), 0
    while function("fxc_op_get")(index, byref(row), None) == Status.OK:
        index += 1
        if row.fuse == b"anchor" and row.flop_rule != b"unknown":
            names.add(row.name.decode())
    return frozenset(names)


def _taken_apart(operator: torch._ops.OpOverload) -> bool:
    try:
        return bool(operator.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd))
    except RuntimeError:  # of TorchScript alone (aten.einsum.sublist): it is never dispatched
        return True


def _count(packet: Any, *args: Any, out_val: Any = None, **kwargs: Any) -> int:
    """torch's counter tells the arguments of a call, not which of the overloads it is."""
    resolve: Any = seam("torch._C", "_jit_resolve_packet", "register_flop_formulas()")
    overload = getattr(packet, resolve(packet._qualified_op_name, *args, **kwargs))
    flops = matrix_flops(of_call(overload, args, kwargs, out_val))
    if flops is None:
        raise FxcostError(
            f"FLOPs of {overload}\n  expected: arguments that its formula knows\n"
            f"  found: {len(args) + len(kwargs)} arguments that it does not\n"
            "  try: remove() what register_flop_formulas() gave, and count without it",
            status="PROGRAM",
        )
    return flops
