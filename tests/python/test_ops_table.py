"""The operator table against the installed torch: every schema, and what torch's own tags say of an operator."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from ctypes import POINTER, byref, c_bool, c_char_p, c_int32, c_size_t, c_uint32, c_void_p
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fxcost.abi import Sized
from fxcost.binding import library

TEXTS = ("name", "schema", "shape_rule", "flop_rule", "fuse", "touch", "eager", "autocast", "alias", "doc")


class OpInfo(Sized):
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


def test_schemas_of_collectives() -> None:
    import torch.distributed.fsdp
    import torch.distributed.tensor  # noqa: F401  they define these operators

    names = [name for name in TABLE if name.split(".")[0] in ("_c10d_functional", "c10d", "fsdp", "_dtensor")]
    assert len(names) > 30
    for name in names:
        space, packet, overload_name = name.split(".")
        schema = str(getattr(getattr(getattr(torch.ops, space), packet), overload_name)._schema)
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


# Core operators whose result is a number, and one that no graph holds (out= forms are not captured).
WITHOUT_SHAPE = {
    "aten._local_scalar_dense.default",
    "aten.sym_is_contiguous.default",
    "aten.sym_numel.default",
    "aten.sym_size.int",
    "aten.sym_storage_offset.default",
    "aten.sym_stride.int",
    "aten.atan2.out",
}


def test_core_operators_have_shape_rules() -> None:
    """Every overload that torch tags as core has a shape rule, but for those without a shape."""
    schemas = [schema for schema in torch._C._jit_get_all_schemas() if schema.name.startswith("aten::")]
    ops = (overload(f"aten.{schema.name[6:]}.{schema.overload_name or 'default'}") for schema in schemas)
    core = {str(op) for op in ops if op is not None and torch.Tag.core in op.tags}
    assert len(core) > 190
    assert {name for name in core if name not in TABLE or text(TABLE[name], "shape_rule") == "-"} == WITHOUT_SHAPE


def test_every_row_says_something() -> None:
    for name, row in TABLE.items():
        doc = text(row, "doc")
        assert doc.endswith("."), name
        assert 10 <= len(doc) <= 240, name
        assert text(row, "flop_rule"), name
        for op in filter(None, text(row, "eager").split(",")):
            assert any(other.startswith(op + ".") for other in TABLE) or hasattr(torch.ops.aten, op[5:]), (name, op)


# ---- what eager runs ------------------------------------------------------------------------------------------------


class Dispatched(TorchDispatchMode):
    """The operators that eager dispatch runs."""

    def __init__(self) -> None:
        super().__init__()
        self.ops: list[str] = []

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.ops.append("aten." + op._schema.name.removeprefix("aten::"))
        return op(*args, **(kwargs or {}))


def r(*shape: int) -> torch.Tensor:
    return torch.linspace(0.1, 0.9, math.prod(shape)).reshape(shape)


# The form of a call that the eager column speaks of, where the form decides: three or more dimensions, a bias.
SAMPLES: dict[str, tuple[Any, ...]] = {
    "linear.default": (r(2, 3, 4), r(5, 4), r(5)),
    "matmul.default": (r(2, 3, 4, 5), r(2, 3, 5, 6)),
    "bmm.default": (r(2, 3, 4), r(2, 4, 5)),
    "tensordot.default": (r(3, 4), r(4, 5), [1], [0]),
    "inner.default": (r(3, 4), r(5, 4)),
    "bilinear.default": (r(3, 4), r(3, 5), r(2, 4, 5), r(2)),
    "outer.default": (r(3), r(4)),
    "conv1d.default": (r(1, 2, 5), r(3, 2, 3)),
    "conv2d.default": (r(1, 2, 5, 5), r(3, 2, 3, 3)),
    "conv2d.padding": (r(1, 2, 5, 5), r(3, 2, 3, 3), None, [1, 1], "same"),
    "conv_transpose2d.input": (r(1, 2, 5, 5), r(2, 3, 3, 3)),
    "layer_norm.default": (r(3, 4), [4], r(4), r(4)),
    "group_norm.default": (r(2, 4, 3), 2, r(4), r(4)),
    "instance_norm.default": (r(2, 4, 3), None, None, None, None, True, 0.1, 1e-5, False),
    "batch_norm.default": (r(2, 4, 3), r(4), r(4), r(4), r(4), False, 0.1, 1e-5, False),
    "rms_norm.default": (r(2, 4), [4], r(4)),
    "softmax.int": (r(3, 4), 1),
    "log_softmax.int": (r(3, 4), 1),
    "dropout.default": (r(3, 4), 0.5, True),
    "dropout_.default": (r(3, 4), 0.5, True),
    "feature_dropout.default": (r(3, 4, 4), 0.5, True),
    "alpha_dropout.default": (r(3, 4), 0.5, True),
    "cross_entropy_loss.default": (r(3, 4), torch.tensor([1, 2, 3])),
    "nll_loss_nd.default": (r(3, 4), torch.tensor([1, 2, 3])),
    "l1_loss.default": (r(3), r(3)),
    "kl_div.default": (r(3), r(3)),
    "mse_loss.default": (r(3), r(3)),
    "cosine_similarity.default": (r(3, 4), r(3, 4)),
    "pairwise_distance.default": (r(3, 4), r(3, 4)),
    "max_pool1d.default": (r(1, 2, 8), [2]),
    "max_pool2d.default": (r(1, 2, 8, 8), [2, 2]),
    "max_pool3d.default": (r(1, 2, 8, 8, 8), [2, 2, 2]),
    "avg_pool1d.default": (r(1, 2, 8), [2]),
    "avg_pool2d.default": (r(1, 2, 8, 8), [2, 2]),
    "adaptive_avg_pool1d.default": (r(1, 2, 8), [3]),
    "adaptive_avg_pool2d.default": (r(1, 2, 8, 8), [3, 3]),
    "adaptive_max_pool1d.default": (r(1, 2, 8), [3]),
    "stack.default": ([r(3), r(3)],),
    "cat.default": ([r(3), r(3)],),
    "repeat.default": (r(3), [2, 2]),
    "tile.default": (r(3), [2]),
    "pad.default": (r(3, 4), [1, 1]),
    "diff.default": (r(4),),
    "prelu.default": (r(2, 3, 4), r(3)),
    "to.dtype": (r(3), torch.float64),
    "type_as.default": (r(3), r(3).double()),
    "contiguous.default": (r(3, 4).t(),),
    "reshape.default": (r(3, 4).t(), [12]),
    "flatten.using_ints": (r(3, 4, 5).transpose(0, 1),),
    "repeat_interleave.self_int": (r(3, 4), 2, 1),
    "one_hot.default": (torch.tensor([1, 2]), 5),
    "embedding.default": (r(5, 4), torch.tensor([1])),
    "embedding_bag.padding_idx": (
        *(r(5, 4), torch.tensor([1, 2]), torch.tensor([0]), False, 0, False, None, False, -1),
    ),
    "scaled_dot_product_attention.default": (r(1, 2, 3, 4), r(1, 2, 3, 4), r(1, 2, 3, 4)),
    "lstm_cell.default": (r(2, 4), [r(2, 3), r(2, 3)], r(12, 4), r(12, 3), r(12), r(12)),
    "relu6.default": (r(3),),
    "selu.default": (r(3),),
    "silu.default": (r(3),),
    "gelu.default": (r(3),),
    "log_sigmoid.default": (r(3),),
    "square.default": (r(3),),
    "argsort.default": (r(3),),
    "true_divide.Tensor": (r(3), r(3)),
    "clip.default": (r(3), 0.0, 1.0),
    "expand_as.default": (r(3), r(3)),
    "logsumexp.default": (r(3, 4), [1]),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_eager_column_is_what_dispatch_runs(name: str) -> None:
    row = TABLE["aten." + name]
    packet = "aten." + name.rpartition(".")[0]
    op = overload("aten." + name)
    assert op is not None
    with torch.no_grad(), Dispatched() as dispatched:
        op(*SAMPLES[name])
    assert dispatched.ops == (text(row, "eager").split(",") if text(row, "eager") else [packet])
