"""Capture records what torch.export made. Expected values come from torch itself: the exported program's own graph,
its fake values, the real model's tensors."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from fxir_reader import Fxir
from torch import nn
from torch.export import Dim

import fxcost
from fxcost.binding import Analysis, Program
from fxcost.columns import COLUMNS, NONE, Columns

torch.set_num_threads(1)
Captured = tuple[Fxir, torch.export.ExportedProgram]


def capture(model: nn.Module, args: Any, kwargs: Any = None, dynamic_shapes: Any = None) -> Fxir:
    """Captured in eval mode without gradients, and accepted by the C loader and its verifier."""
    with torch.no_grad():
        data = fxcost.capture(model.eval(), args, kwargs, dynamic_shapes).to_bytes()
    return checked(data)


def checked(data: bytes) -> Fxir:
    program = Program.from_bytes(data, "captured")
    Analysis(program).require("verify")
    return Fxir(data)


class Toy(nn.Module):
    """In-place arithmetic, a list result, a module that leaves no node."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 4)
        self.same = nn.Identity()
        self.never = nn.Linear(2, 3)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.linear(x)
        x += 1.0
        first, _ = x.split(2, dim=1)
        return self.same(x), first


@pytest.fixture(scope="module")
def toy() -> Fxir:
    return capture(Toy(), (torch.ones(1, 5),))


def test_columns_are_those_of_the_schema() -> None:
    """Names and element types against ir/columns.def, which the C reader is made from."""
    text = (Path(__file__).parents[2] / "ir" / "columns.def").read_text()
    types = {"uint8_t": "<u1", "uint16_t": "<u2", "uint32_t": "<u4", "int64_t": "<i8"}
    rows = [line[7:].split(", ") for line in text.splitlines() if line.startswith("COLUMN(")]
    expected = {name: types[kind].replace("<u1", "|u1") for _, kind, name, *_ in rows}
    assert {name: dtype.str for name, dtype in COLUMNS.items()} == expected


def test_nodes_follow_the_exported_graph(toy: Fxir) -> None:
    with torch.no_grad():
        program = torch.export.export(Toy().eval(), (torch.ones(1, 5),))
    nodes = [node for node in program.graph.nodes if node.op == "call_function"]
    assert [toy.text("value_name", toy.result(n)) for n in range(len(nodes))] == [node.name for node in nodes]
    assert toy.ops() == [
        "aten.linear.default", "aten.add_.Tensor", "aten.split.Tensor", "operator.getitem", "operator.getitem"
    ]  # fmt: skip


def test_arguments_have_the_schemas_names(toy: Fxir) -> None:
    add = toy.node("add_")
    assert toy.args(add) == {"self": ("value", toy.result(toy.node("linear"))), "other": 1.0}
    split = toy.args(toy.node("split"))
    assert (split["split_size"], split["dim"]) == (2, 1)
    getitem = toy.args(toy.node("getitem"))
    assert getitem == {"a": ("value", toy.result(toy.node("split"))), "b": 0}


def test_list_results_have_elements_of_their_own(toy: Fxir) -> None:
    split = toy.node("split")
    first, second = (value for _, value in toy.value(toy.result(split)))
    assert [toy.meta(value)["offset"] for value in (first, second)] == [0, 2]
    assert {int(toy.value_producer[value]) for value in (first, second)} == {split}
    assert toy.text("value_name", first) == ""
    assert toy.meta(first)["storage"] == toy.meta(toy.result(toy.node("getitem")))["storage"]


def test_in_place_result_and_views_share_a_storage(toy: Fxir) -> None:
    storages = {toy.meta(toy.result(toy.node(name)))["storage"] for name in ("linear", "add_", "getitem")}
    assert len(storages) == 1
    assert toy.storage_bytes[storages.pop()] == 4 * 4


def test_a_module_without_nodes_is_in_the_call_table(toy: Fxir) -> None:
    assert toy.calls() == [("", 0), ("linear", 0), ("same", 0)]
    same = toy.calls().index(("same", 0))
    output = ("value", toy.result(toy.node("add_")))
    assert toy.items(toy.call_inputs[same]) == toy.items(toy.call_outputs[same]) == [output]
    assert toy.call(toy.node_call[toy.node("linear")]) == ("linear", 0)
    assert toy.call(toy.node_call[toy.node("add_")]) == ("", 0)
    assert "never" in [toy.module_path(row) for row in range(len(toy.module_name))]


def test_configuration_of_leaf_modules(toy: Fxir) -> None:
    assert toy.config("linear") == {"in_features": 5, "out_features": 4}
    pool = capture(nn.Sequential(nn.MaxPool2d(2, ceil_mode=True)), (torch.ones(1, 1, 5, 5),)).config("0")
    assert (pool["kernel_size"], pool["ceil_mode"], pool["return_indices"]) == (2, True, False)


def test_unused_parameters_are_listed(toy: Fxir) -> None:
    params, unused = toy.params(), toy.flag("param_flag", "unused")
    assert set(params) == {"linear.weight", "linear.bias", "never.weight", "never.bias"}
    assert {name for name, row in params.items() if toy.param_flags[row] & unused} == {"never.weight", "never.bias"}


def test_source_is_the_users_line(toy: Fxir) -> None:
    source = toy.node_source[toy.node("add_")]
    file, line = toy.text("source_file", source), int(toy.source_line[source])
    assert Path(file).name == Path(__file__).name
    assert Path(__file__).read_text().splitlines()[line - 1].strip() == "x += 1.0"
    assert toy.text("source_function", source) == "forward"
    assert toy.node_source[toy.node("linear")] != NONE


def test_capture_entries(toy: Fxir) -> None:
    entries = toy.capture
    assert entries["producer"].startswith("fxcost ")
    assert entries["torch"] == torch.__version__
    assert (entries["model"], entries["route"], entries["dialect"]) == ("Toy", "export", "training")
    assert (entries["training"], entries["grad"], entries["strict"], entries["autocast"]) == (False, False, False, {})
    assert entries["inputs"] == "x f32[1, 5]"
    assert entries["dtype"] == ("dtype", "float32")


def test_training_grad_and_autocast_are_recorded() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        file = checked(fxcost.capture(Toy().train(), torch.ones(1, 5)).to_bytes())
    assert (file.capture["training"], file.capture["grad"]) == (True, True)
    assert file.capture["autocast"] == {"cpu": ("dtype", "bfloat16")}
    assert set(file.call_flags) == {file.flag("call_flag", "training")}
    assert file.meta(file.result(file.node("linear")))["dtype"] == "bfloat16"


# ---- aliased and tied -----------------------------------------------------------------------------------------------


class Shared(nn.Module):
    """One module under two names, one weight in two modules."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = self.a
        self.tied = nn.Linear(4, 4)
        self.tied.weight = self.a.weight
        self.register_buffer("scratch", torch.zeros(2), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.tied(self.a(self.b(self.a(x))))


def test_aliased_modules_and_tied_parameters() -> None:
    file = capture(Shared(), (torch.ones(2, 4),))
    assert file.calls() == [("", 0), ("a", 0), ("b", 0), ("a", 1), ("tied", 0)]
    storages = {name: int(file.value_storage[file.param_value[row]]) for name, row in file.params().items()}
    assert storages["a.weight"] == storages["b.weight"] == storages["tied.weight"]
    assert storages["a.bias"] == storages["b.bias"] != storages["tied.bias"]
    flags = {name: int(file.param_flags[row]) for name, row in file.params().items()}
    assert flags["scratch"] == file.flag("param_flag", "unused")  # a buffer that is neither persistent nor read
    assert not flags["a.weight"] & file.flag("param_flag", "unused")


# ---- bodies ---------------------------------------------------------------------------------------------------------


class Bodies(nn.Module):
    """Autocast inside the model, and control flow on a value."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = self.linear(x)
        return torch.cond(x.sum() > 0, lambda t: t + 1, lambda t: t * 2, (y,))


def test_nested_graphs() -> None:
    file = capture(Bodies(), (torch.ones(2, 4),))
    names = [file.text("graph_name", row) for row in range(len(file.graph_name))]
    views = [file.enum_text("view", view) for view in file.graph_view]
    assert names[0] == "main"
    assert views == ["captured", "body", "body", "body"]
    assert file.ops(1) == ["aten.linear.default"]
    assert {*file.ops(2), *file.ops(3)} == {"aten.add.Tensor", "aten.mul.Tensor"}
    wrap = next(node for node in range(len(file.node_op)) if file.op(node) == "higher_order.wrap_with_autocast")
    args = file.args(wrap)
    assert (args["device_type"], args["dtype"], args["enabled"]) == ("cpu", ("dtype", "bfloat16"), True)
    assert args["wrapped_func"] == ("graph", 1)
    assert args["operand0"] == ("value", int(file.input_value[file.graph_input_begin[1] - 1]))
    cond = file.args(file.node("cond"))
    assert (cond["true_fn"], cond["false_fn"]) == (("graph", 2), ("graph", 3))
    linear = file.node("linear") if file.ops(0).count("aten.linear.default") else file.graph_node_begin[1]
    assert file.call(file.node_call[linear]) == ("linear", 0)
    assert file.meta(file.result(linear))["dtype"] == "bfloat16"


class Checkpointed(nn.Module):
    def __init__(self, use_reentrant: bool) -> None:
        super().__init__()
        self.use_reentrant = use_reentrant
        self.inner, self.outer = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.utils.checkpoint.checkpoint(self.inner, x, use_reentrant=self.use_reentrant)
        return self.outer(y).relu()


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpoint_regions(use_reentrant: bool) -> None:
    file = capture(Checkpointed(use_reentrant), (torch.ones(2, 4),))
    inside = {file.text("value_name", file.result(n)): list(_regions(file, n)) for n in range(len(file.node_op))}
    names = {"linear": ["checkpoint", "function"], "linear_1": ["function"], "relu": ["function"]}
    assert {name: [kind for kind, _ in regions] for name, regions in inside.items()} == names
    assert inside["linear"][0] == ("checkpoint", ["use_reentrant", use_reentrant])
    linear, relu = inside["linear"][1][1], inside["relu"][0][1]
    assert linear == ["name", "torch.nn.functional.linear", "by_name", True, "intercepted", True]
    assert relu == ["name", "torch.Tensor.relu", "by_name", False, "intercepted", True]


def _regions(file: Any, node: int) -> Iterator[tuple[str, list[Any]]]:
    """The regions of a node, outermost first."""
    chain, region = [], int(file.node_region[node])
    while region != NONE:
        chain.append((file.enum_text("region_kind", file.region_kind[region]), file.items(file.region_config[region])))
        region = int(file.region_parent[region])
    return reversed(chain)


# ---- symbols --------------------------------------------------------------------------------------------------------


class Sizes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.conv = nn.Linear(8, 8), nn.Conv2d(3, 4, 3, 2)

    def forward(self, x: torch.Tensor, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = F.interpolate(self.conv(image), scale_factor=0.5)
        return self.linear(x).reshape(x.shape[0] * 2, -1), y


def test_symbols_ranges_and_expressions() -> None:
    batch = Dim("batch", min=2, max=64)
    file = capture(
        Sizes(),
        (torch.ones(4, 8), torch.ones(4, 3, 16, 16)),
        None,
        {"x": {0: batch}, "image": {0: batch, 2: Dim.AUTO}},
    )
    assert (file.text("symbol_dim", 0), file.symbol_hint[0], file.symbol_min[0], file.symbol_max[0]) == (
        "batch", 4, 2, 64
    )  # fmt: skip
    assert file.symbol_flags[0] == sum(file.flag("symbol_flag", text) for text in ("hint", "min", "max"))
    height = file.text("symbol_name", 1)
    conv = file.meta(file.result(file.node("conv2d")))
    assert conv["size"] == ["batch", 4, f"1 -3 {height} Add 2 FloorDiv Add", 7]
    resized = file.meta(file.result(file.node("upsample_nearest2d")))
    assert resized["size"][2] == f"0.5 1 -3 {height} Add 2 FloorDiv Add ToFloat Mul TruncToInt"
    reshape = file.node("reshape")
    assert file.meta(file.result(reshape))["size"] == ["2 batch Mul", 4]
    assert file.args(reshape)["shape"][1] == -1
    assert file.capture["inputs"] == f"x f32[batch=4, 8], image f32[batch=4, 3, {height}=16, 16]"
    assert "32 batch Mul" in [file.symint(code) for code in file.storage_bytes]


class Unbacked(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.nonzero() * 2


def test_unbacked_symbols() -> None:
    file = capture(Unbacked(), (torch.ones(4),))
    unbacked, hint = file.flag("symbol_flag", "unbacked"), file.flag("symbol_flag", "hint")
    assert file.symbol_flags[0] & (unbacked | hint) == unbacked
    assert file.meta(file.result(file.node("nonzero")))["size"] == ["u0", 1]
    assert file.value(file.result(file.node("ge"))) == ("symbool", "u0 0 Ge")


def test_a_range_of_an_expression_is_a_constraint() -> None:
    from sympy import Symbol
    from torch.utils._sympy.value_ranges import ValueRanges

    from fxcost.symbols import Symbols

    columns = Columns()
    symbols = Symbols(columns)
    s = Symbol("s17", integer=True, positive=True)
    symbols.constraints({2 * s: ValueRanges(4, 128)})
    assert (columns.rows["constraint_min"], columns.rows["constraint_max"]) == ([4], [128])
    assert len(columns.rows["symbol_name"]) == 1


def test_an_unknown_function_makes_the_expression_opaque() -> None:
    from sympy import Symbol, sin

    from fxcost.enums import enum
    from fxcost.symbols import Symbols

    columns = Columns()
    Symbols(columns).expression(sin(Symbol("s0", integer=True)) + 1)
    assert columns.rows["token_op"] == [enum("token")["opaque"]]


# ---- values and arguments of every kind -----------------------------------------------------------------------------


class Kinds(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("cache", torch.zeros(1, 8, 4))

    def forward(self, x: torch.Tensor, position: torch.Tensor) -> Any:
        self.cache.index_copy_(1, position, x)
        quantized = torch.quantize_per_tensor(x, 0.1, 0, torch.quint8)
        complex_ = torch.view_as_complex(x.view(-1, 2))
        return (
            self.cache.sum(-1),
            x[..., [0, 2]],
            quantized.dequantize(),
            torch.view_as_real((complex_.conj() * (1 + 2j)).resolve_conj()),
            x[0].to_sparse(),
            torch.zeros(2, dtype=torch.float64).clone(memory_format=torch.contiguous_format),
        )


def test_kinds_of_values_and_arguments() -> None:
    file = capture(Kinds(), (torch.ones(1, 2, 4), torch.tensor([1, 2])))
    indices = file.args(next(n for n in range(len(file.node_op)) if file.op(n) == "aten.index.Tensor"))["indices"]
    assert indices[:2] == [None, None]
    assert indices[2][0] == "value"
    assert file.value(file.result(file.node("quantize_per_tensor"))) == ("opaque", "quantized tensor")
    assert file.args(file.node("mul"))["other"] == [1.0, 2.0]
    assert file.meta(file.result(file.node("_conj")))["flags"] & file.flag("tensor_flag", "conj")
    sparse = file.meta(file.result(file.node("to_sparse")))
    assert (sparse["layout"], sparse["storage"]) == ("sparse_coo", NONE)
    assert file.args(file.node("zeros"))["dtype"] == ("dtype", "float64")
    assert file.args(file.node("clone"))["memory_format"] == ("memory_format", "contiguous_format")
    copied = file.result(file.node("index_copy_"))
    cache = file.param_value[file.params()["cache"]]
    assert file.meta(copied)["storage"] == file.meta(cache)["storage"]


@torch.library.custom_op("fxcost_capture_tests::scaled", mutates_args={"out"})
def scaled(x: torch.Tensor, out: torch.Tensor, by: float = 2.0) -> None:
    out.copy_(x * by)


class Custom(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(x)
        scaled(x, out, by=3.0)
        return out


def test_custom_operators() -> None:
    file = capture(Custom(), (torch.ones(3),))
    node = next(n for n in range(len(file.node_op)) if "scaled" in file.op(n))
    op = file.node_op[node]
    assert file.op(node) == "fxcost_capture_tests.scaled.default"
    assert file.enum_text("op_origin", file.op_origin[op]) == "custom"
    assert file.text("op_schema", op) == "(Tensor x, Tensor(a1!) out, float by=2.) -> ()"
    assert file.op_tags[op] & file.flag("op_tag", "mutable")
    assert file.value(file.result(node)) is None
    assert file.args(node)["by"] == 3.0


def test_tags_come_from_torch() -> None:
    file = capture(nn.Sequential(nn.ReLU(), nn.Flatten()), (torch.ones(2, 3, 4),))
    relu = next(row for row in range(len(file.op_name)) if file.text("op_name", row) == "aten.relu.default")
    assert file.op_tags[relu] & file.flag("op_tag", "pointwise")
    assert file.op_tags[relu] & file.flag("op_tag", "core")
    assert not file.op_tags[relu] & file.flag("op_tag", "mutable")


# ---- fake values of whole models ------------------------------------------------------------------------------------


MODELS: dict[str, Callable[[], tuple[nn.Module, tuple[torch.Tensor, ...]]]] = {
    "lstm": lambda: (nn.LSTM(8, 16, 2, batch_first=True, bidirectional=True), (torch.ones(2, 5, 8),)),
    "gru": lambda: (nn.GRU(8, 16), (torch.ones(5, 2, 8),)),
    "attention": lambda: (nn.MultiheadAttention(16, 4, batch_first=True), (torch.ones(2, 5, 16),) * 3),
    "encoder": lambda: (nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), (torch.ones(2, 5, 16),)),
    "convolution": lambda: (
        nn.Sequential(nn.Conv2d(3, 8, 3, padding="same"), nn.BatchNorm2d(8), nn.ReLU(True), nn.AdaptiveAvgPool2d(1)),
        (torch.ones(2, 3, 9, 9),),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_value_matches_torchs_fake_tensor(name: str) -> None:
    model, args = MODELS[name]()
    file = capture(model, args)
    with torch.no_grad():
        program = torch.export.export(model.eval(), args)
    nodes = [node for node in program.graph.nodes if node.op == "call_function"]
    assert len(nodes) == len(file.node_op)
    for row, node in enumerate(nodes):
        val = node.meta.get("val")
        if isinstance(val, torch.Tensor):
            meta = file.meta(file.result(row))
            assert meta["size"] == list(val.shape)
            assert meta["stride"] == list(val.stride())
            assert meta["offset"] == val.storage_offset()
            assert f"torch.{meta['dtype']}" == str(val.dtype)
            assert file.storage_bytes[meta["storage"]] == val.untyped_storage().nbytes()


def test_signature_names_and_order() -> None:
    model = nn.Sequential(nn.BatchNorm1d(4)).eval()
    file = capture(model, (torch.ones(2, 4),))
    program = torch.export.export(model, (torch.ones(2, 4),))
    expected = [(spec.kind.name.lower(), spec.target or "") for spec in program.graph_signature.input_specs]
    kinds = [file.enum_text("input_kind", kind) for kind in file.input_kind]
    assert list(zip(kinds, [file.text("input_target", row) for row in range(len(kinds))], strict=True)) == expected
    assert [file.enum_text("output_kind", role) for role in file.output_role] == ["user_output"]


# ---- the writer ---------------------------------------------------------------------------------------------------


def test_equal_rows_are_stored_once() -> None:
    columns = Columns()
    assert columns.string("x") == columns.string("x") == 1
    assert columns.list_row([(2, 5)]) == columns.list_row([(2, 5)])
    assert columns.meta_row(0, 0, 0, (2, 3), (3, 1), 0) == columns.meta_row(0, 0, 0, (2, 3), (3, 1), 0)
    assert columns.rows["meta_dim_begin"] == [0, 2]
    assert columns.meta_row(0, 0, 0, (2, 3), (1, 2), 0) == 1


def test_names_that_are_no_clean_text() -> None:
    """A NUL would end a string early, a lone surrogate is no UTF-8: the C loader accepts what is written instead."""
    file = checked(fxcost.capture(nn.ReLU(), torch.ones(1), name="a\0b\ud800c").to_bytes())
    assert file.capture["model"] == "a\ufffdb?c"


def test_progress_is_erased() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    with contextlib.redirect_stderr(terminal):
        fxcost.capture(nn.ReLU(), torch.ones(1))
    assert "capturing ReLU…" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


@pytest.mark.parametrize("default", [torch.float32, torch.float64])
def test_every_route_says_an_unusual_default_dtype(default: torch.dtype) -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(default)
    try:
        model, args = nn.Linear(4, 4), (torch.ones(2, 4),)
        program = torch.export.export(model, args)
        with fxcost.record(model) as recording:
            model(*args)
        found = [fxcost.capture(model, args), fxcost.capture(program), fxcost.capture(program.graph_module)]
    finally:
        torch.set_default_dtype(before)
    heads = [Fxir(captured.to_bytes()).capture for captured in (*found, recording)]
    expected = None if default == torch.float32 else ("dtype", "float64")
    assert [head.get("default_dtype") for head in heads] == [expected] * 4
