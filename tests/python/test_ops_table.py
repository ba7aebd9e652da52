"""The operator table against the installed torch: every schema, and what torch's own tags say of an operator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ctypes import POINTER, byref, c_bool, c_char_p, c_int32, c_size_t, c_uint32, c_void_p

import pytest
import torch

from fxcost.binding import _Sized, library

TEXTS = ("name", "schema", "shape_rule", "flop_rule", "fuse", "touch", "eager", "autocast", "alias", "doc")


class OpInfo(_Sized):
    """``fxc_op_info``."""

    _fields_ = [("struct_size", c_size_t)] + [(name, c_char_p) for name in TEXTS] + [("activation", c_bool)]


def text(row: OpInfo, field: str) -> str:
    return getattr(row, field).decode()


def rows() -> Iterator[OpInfo]:
    get = library().fxc_op_get
    get.restype, get.argtypes = c_int32, [c_uint32, POINTER(OpInfo), c_void_p]
    index = 0
    while get(index, byref(row := OpInfo()), None) == 0:
        yield row
        index += 1


TABLE = {text(row, "name"): row for row in rows()}


def overload(name: str) -> torch._ops.OpOverload | None:
    """The overload of an aten row in the installed torch."""
    packet, overload_name = re.fullmatch(r"aten\.(.+)\.([^.]+)", name).groups()  # type: ignore[union-attr]
    found = getattr(torch.ops.aten, packet, None)
    return getattr(found, overload_name, None) if found is not None else None


ATEN = {name: row for name, row in TABLE.items() if name.startswith("aten.")}


def test_table_is_broad() -> None:
    assert len(ATEN) >= 1000
    assert len(TABLE) == len({*TABLE})


def test_every_schema_is_torchs() -> None:
    wrong = []
    for name, row in ATEN.items():
        op = overload(name)
        schema = str(op._schema) if op is not None else "no such overload("
        if text(row, "schema") != schema[schema.index("(") :]:
            wrong.append((name, text(row, "schema"), schema))
    assert not wrong


def test_custom_operator_schema() -> None:
    pytest.importorskip("transformers.integrations.moe", reason="transformers defines this operator")
    name = "transformers.grouped_mm_fallback.default"
    schema = str(torch.ops.transformers.grouped_mm_fallback.default._schema)
    assert text(TABLE[name], "schema") == schema[schema.index("(") :]


def test_views_of_torch_touch_no_data() -> None:
    """What torch marks as a view is a view here, and computes nothing. An overload that may copy is marked "copy"."""
    for name, row in ATEN.items():
        op = overload(name)
        assert op is not None
        if op.is_view and text(row, "fuse") != "pointwise":
            assert text(row, "fuse") == "view", name
            assert text(row, "touch") in ("none", "copy"), name
            assert text(row, "flop_rule") == "zero", name


def test_in_place_operators_say_so() -> None:
    for name, row in ATEN.items():
        op = overload(name)
        assert op is not None
        writes_self = op._schema.is_mutable and op._schema.arguments[0].alias_info is not None
        if writes_self and op._schema.arguments[0].alias_info.is_write and text(row, "fuse") == "pointwise":
            assert text(row, "touch") in ("inplace", "overwrite"), name


def test_pointwise_tag_has_rows() -> None:
    """Torch's pointwise-tagged operators have rows, but for rare special functions, which stay unknown."""
    missing = []
    for packet_name in dir(torch.ops.aten):
        packet = getattr(torch.ops.aten, packet_name)
        for name in packet.overloads() if isinstance(packet, torch._ops.OpOverloadPacket) else ():
            op = getattr(packet, name)
            if torch.Tag.pointwise not in op.tags or torch.Tag.out in op.tags or "out" in name:
                continue
            if not packet_name.startswith("special_") and str(op) not in TABLE:
                missing.append(str(op))
    assert set(missing) <= {"aten.gelu_backward.default", "aten.mvlgamma.default", "aten.mvlgamma_.default"} | {
        name for name in missing if "logit_backward" in name
    }


def test_every_row_says_something() -> None:
    for name, row in TABLE.items():
        doc = text(row, "doc")
        assert doc.endswith("."), name
        assert 10 <= len(doc) <= 240, name
        assert text(row, "flop_rule"), name
        for op in filter(None, text(row, "eager").split(",")):
            assert any(other.startswith(op + ".") for other in TABLE) or hasattr(torch.ops.aten, op[5:]), (name, op)
