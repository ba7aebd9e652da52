"""Inputs and results of any class, inputs named on the command line, and where models come from."""

from __future__ import annotations

import enum
from collections import OrderedDict, UserDict, namedtuple
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from fxir_reader import Fxir
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import fxcost
from fxcost.binding import Analysis, Program
from fxcost.inputs import with_inputs
from fxcost.models import load
from fxcost.options import Options

Pair = namedtuple("Pair", ["left", "right"])


class Kind(enum.Enum):
    SUM = 1


@dataclass
class Batch:
    ids: Tensor
    mask: Tensor | None = None
    width: int = 3
    kind: Kind = Kind.SUM
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Frozen:
    x: Tensor


class Slotted:
    __slots__ = ("x", "label")

    def __init__(self, x: Tensor, label: str) -> None:
        self.x, self.label = x, label


class Annotated(NamedTuple):
    ids: Tensor
    mask: Tensor


class Attributes(dict):
    def __getattr__(self, name: str) -> Any:
        return self[name]


class Listing(list):
    pass


class Loop:
    """A value that holds itself."""

    def __init__(self, x: Tensor) -> None:
        self.x, self.me = x, self


class Apply(nn.Module):
    """One linear layer over what a function picks from the inputs."""

    def __init__(self, pick: Any, wrap: Any = None) -> None:
        super().__init__()
        self.linear, self.pick, self.wrap = nn.Linear(4, 4), pick, wrap

    def forward(self, value: Any, scale: Any = None, *, flag: bool = True) -> Any:
        result = self.linear(self.pick(value))
        if scale is not None:
            result = result * scale
        return self.wrap(result) if self.wrap is not None else result


def analysed(model: nn.Module, args: Any, kwargs: Any = None, **how: Any) -> tuple[Fxir, Analysis]:
    data = fxcost.capture(model.eval(), args, kwargs, **how).to_bytes()
    assert not [cls for cls in pytree.SUPPORTED_NODES if cls.__module__ == __name__], "no class is registered"
    assert not model._forward_hooks and not model._forward_pre_hooks, "no hook stays"
    analysis = Analysis(Program.from_bytes(data, "inputs"))
    analysis.require("verify")
    return Fxir(data), analysis


X = torch.ones(2, 4)
INPUTS = {
    "dict": ({"x": X}, lambda value: value["x"]),
    "ordered dict": (OrderedDict(x=X), lambda value: value["x"]),
    "dict subclass": (Attributes(x=X, name="a"), lambda value: value.x),
    "UserDict": (UserDict({"x": X, "n": 3}), lambda value: value["x"] * value["n"]),
    "namedtuple": (Pair(X, None), lambda value: value.left),
    "dataclass": (Batch(X), lambda value: value.ids * value.width if value.kind is Kind.SUM else None),
    "dataclass in dataclass": (Batch(X, extra={"in": Batch(X)}), lambda value: value.extra["in"].ids + value.ids),
    "frozen dataclass": (Frozen(X), lambda value: value.x),
    "slots": (Slotted(X, "a"), lambda value: value.x if value.label == "a" else None),
    "holds itself": (Loop(X), lambda value: value.me.x),
    "list of dicts": ([{"x": X}, {"x": X, "n": 2}], lambda value: value[0]["x"] + value[1]["x"] * value[1]["n"]),
    "list subclass": (Listing([X, "word"]), lambda value: value[0]),
    "list of dataclasses": ([Batch(X), Batch(X)], lambda value: value[0].ids + value[1].ids),
    "none inside": ((None, X, None), lambda value: value[1]),
    "enum beside": ((X, Kind.SUM), lambda value: value[0] if value[1] is Kind.SUM else None),
    "function beside": ((X, torch.relu), lambda value: value[1](value[0])),
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs_of_any_class(name: str) -> None:
    """32 MACs of the linear layer, whatever the input is wrapped in: 2 rows, 4 by 4."""
    value, pick = INPUTS[name]
    file, analysis = analysed(Apply(pick), (value,))
    assert analysis.totals().counts.macs == 2 * 4 * 4
    assert {path for path, _ in file.calls()} == {"", "linear"}
    names = [name for name, _ in (text.split() for text in file.capture["inputs"].split(", ") if " f32[" in text)]
    assert names and all(name.startswith("value") for name in names), file.capture["inputs"]


def test_scalars_and_none_as_inputs() -> None:
    model = Apply(lambda value: value)
    for kwargs in ({"scale": 3}, {"scale": None}, {"scale": 2.5, "flag": False}, {"scale": torch.tensor(2.0)}):
        _, analysis = analysed(model, (X,), kwargs)
        assert analysis.totals().counts.macs == 32


RESULTS = {
    "dataclass": lambda y: Batch(y, y + 1),
    "object": lambda y: Slotted(y, "label"),
    "UserDict": lambda y: UserDict({"y": y, "n": 1}),
    "nested": lambda y: [{"a": Batch(y)}, (Pair(y, None), "text", Kind.SUM)],
    "holds itself": Loop,
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_of_any_class(name: str) -> None:
    file, analysis = analysed(Apply(lambda value: value, RESULTS[name]), (X,))
    assert analysis.totals().counts.macs == 32
    assert len(file.output_payload) >= 1


def test_transformers_batch_encoding() -> None:
    transformers = pytest.importorskip("transformers")
    encoding = transformers.BatchEncoding({"ids": torch.zeros(2, 4, dtype=torch.int64)})
    file, analysis = analysed(Apply(lambda value: value["ids"].float() + value.ids), (encoding,))
    assert analysis.totals().counts.macs == 32
    assert file.capture["inputs"].startswith("value_ids i64[2, 4]")


def test_the_users_hooks_see_their_own_classes() -> None:
    seen: list[type] = []
    model = Apply(lambda value: value.ids, Frozen)
    handles = [
        model.register_forward_pre_hook(lambda module, given: seen.append(type(given[0]))),
        model.register_forward_hook(lambda module, given, result: seen.append(type(result))),
    ]
    fxcost.capture(model.eval(), (Batch(X),))
    assert set(seen) == {Batch, Frozen}
    assert len(model._forward_pre_hooks) == len(model._forward_hooks) == 1
    for handle in handles:
        handle.remove()


class Takes(nn.Module):
    """Changes what it is given, and fails if asked to."""

    def __init__(self, fails: bool) -> None:
        super().__init__()
        self.linear, self.fails = nn.Linear(4, 4), fails

    def forward(self, batch: Any, table: dict[str, Tensor]) -> Any:
        x = table.pop("x") + batch.ids
        batch.ids = None
        if self.fails:
            raise RuntimeError("asked to fail")
        return Frozen(self.linear(x))


@pytest.mark.parametrize("fails", [False, True])
def test_inputs_and_model_stay_as_they_were(fails: bool) -> None:
    model, batch, table = Takes(fails).eval(), Batch(X), {"x": X}
    hooks = [model.register_forward_hook(lambda *_: None), model.register_forward_pre_hook(lambda *_: None)]
    kept = [dict(model._forward_hooks), dict(model._forward_pre_hooks), dict(model._forward_hooks_with_kwargs)]
    state = torch.get_rng_state()
    if fails:
        with pytest.raises(fxcost.FxcostError, match="asked to fail"):
            fxcost.capture(model, (batch, table))
    else:
        fxcost.capture(model, (batch, table))
    assert batch.ids is X and table == {"x": X}
    assert [dict(model._forward_hooks), dict(model._forward_pre_hooks), dict(model._forward_hooks_with_kwargs)] == kept
    assert "forward" not in vars(model) and torch.equal(state, torch.get_rng_state())
    for hook in hooks:
        hook.remove()


# ---- inputs by name --------------------------------------------------------------------------------------------------


class Tokens(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.embed, self.linear = nn.Embedding(50, width), nn.Linear(width, width)

    def forward(self, batch: Batch, scale: float = 1.0) -> Tensor:
        y = self.linear(self.embed(batch.ids)) * scale
        return y if batch.mask is None else y * batch.mask[..., None]


class Named(nn.Module):
    """Annotations of every kind that --input understands."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, pair: Annotated, many: list[Frozen], loose: Any, table: UserDict | None = None) -> Tensor:
        assert type(pair) is Annotated and type(many[0]) is Frozen
        y = self.linear(pair.ids) + self.linear(many[0].x) + self.linear(many[1].x) + loose.x + loose["x"]
        return y if table is None else y + table["x"]


def described(module: nn.Module, specs: list[str], args: Any = (), kwargs: Any = None) -> tuple[str, int]:
    """The inputs that the report shows, and the MACs."""
    given, named = with_inputs(specs, module, args, kwargs)
    file, analysis = analysed(module, given, named)
    return file.capture["inputs"], analysis.totals().counts.macs


def test_named_inputs() -> None:
    assert described(Tokens(), ["batch.ids=i64[2, 8]<50"]) == ("batch_ids i64[2, 8]", 2 * 8 * 4 * 4)
    inputs, macs = described(Tokens(), ["batch.ids=i64[2,8]<50", "batch.mask=bool[2,8]", "scale=2"])
    assert inputs.startswith("batch_ids i64[2, 8], batch_mask b8[2, 8]") and macs == 2 * 8 * 4 * 4
    specs = ["pair.ids=f32[2,4]", "pair.mask=[2]", "many.0.x=[3,2,4]", "many.1.x=[2,4]", "loose.x=f32[1,1,4]"]
    inputs, macs = described(Named(), [*specs, "table.x=f32[4]"])
    assert macs == (2 + 6 + 2) * 16
    for name in ("pair_ids f32[2, 4]", "many_0_x f32[3, 2, 4]", "loose_x f32[1, 1, 4]", "table_x f32[4]"):
        assert name in inputs


def test_inputs_without_names_and_over_those_that_are_there() -> None:
    assert described(nn.Bilinear(4, 4, 2), ["f32[5,4]", "f32[5,4]"])[0] == "input1 f32[5, 4], input2 f32[5, 4]"
    assert described(nn.Linear(4, 4), ["input=f32[9,4]"], (X,)) == ("input f32[9, 4]", 9 * 16)
    model = Apply(lambda value: value[0]["x"] + value[1].left)
    inputs, _ = described(model, ["value.1.left=f32[3,2,4]"], ([{"x": X}, Pair(X, 1)],))
    assert "value_0_x f32[2, 4]" in inputs and "value_1_left f32[3, 2, 4]" in inputs


def test_numbers_below_a_limit_are_the_same_each_time() -> None:
    model, state = nn.Embedding(7, 2), torch.get_rng_state()
    first = with_inputs(["input=i64[64]<7"], model)[1]["input"]
    again = with_inputs(["input=i64[64]<7"], model)[1]["input"]
    assert torch.equal(first, again) and first.min() == 0 and first.max() == 6
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("specs", "words"),
    [
        (["z=f32[2]"], "forward(batch: Batch, scale: float = 1.0)"),
        (["scale=2"], "also needs batch"),
        (["batch.idz=f32[2]"], "idz"),
        (["batch.ids=f99[2]"], "f99"),
        (["batch.ids=f32[2"], "neither DTYPE[SIZES]"),
        (["batch.ids=[2]<5"], "whole numbers"),
        (["batch.ids=i64[2]", "batch.ids=i64[2]"], "twice"),
        (["batch=i64[2]", "batch.ids=i64[2]"], "given whole"),
        (["batch.ids=i64[2]", "scale=__import__('os')"], "neither"),
        (["ba tch=3"], "no name"),
        (["batch.ids=i64[99999999999,99999999999]"], "no such tensor"),
    ],
)
def test_inputs_that_do_not_fit(specs: list[str], words: str) -> None:
    with pytest.raises(fxcost.FxcostError) as caught:
        with_inputs(specs, Tokens())
    assert words in str(caught.value) and caught.value.status == "USAGE"
    assert len(str(caught.value).splitlines()) <= 5


SOURCE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width, depth=1, **more):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
    def forward(self, x, bias=None):
        for layer in self.layers:
            x = layer(x)
        return {"y": x if bias is None else x + bias}

def model():
    return Net(4), torch.ones(2, 4)
"""


def test_a_class_with_constructor_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "given_by_name.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    for spec in ("given_by_name:Net", "given_by_name.py:Net"):
        options = Options(settings={"width": 8, "depth": 2}, inputs=["x=f32[3,8]", "bias=f32[8]"])
        file = Fxir(load(spec, options).capture().to_bytes())
        assert file.ops() == ["aten.linear.default"] * 2 + ["aten.add.Tensor"]
        assert file.capture["inputs"] == "x f32[3, 8], bias f32[8]"
    file = Fxir(load("given_by_name.py", Options(inputs=["x=f32[7,4]"])).capture().to_bytes())
    assert file.capture["inputs"] == "x f32[7, 4]"
    with pytest.raises(fxcost.FxcostError, match=r"expected: forward\(x, bias=None\)"):
        load("given_by_name.py:Net", Options(settings={"width": 8}))
    with pytest.raises(fxcost.FxcostError, match="width"):
        load("given_by_name.py:Net")


def test_inputs_of_a_transformers_model() -> None:
    pytest.importorskip("transformers")
    settings = {"n_layer": 1, "n_embd": 32, "n_head": 4}
    model = load("hf:gpt2", Options(settings=settings, inputs=["input_ids=i64[3,77]<50257", "position_ids=i64[1,77]"]))
    file = Fxir(model.capture().to_bytes())
    assert file.capture["inputs"] == "input_ids i64[3, 77], position_ids i64[1, 77]"


@pytest.mark.parametrize(
    ("package", "name", "macs"), [("torchvision", "resnet18", 1_814_073_344), ("timm", "resnet18", 1_814_073_344)]
)
def test_models_of_other_packages(package: str, name: str, macs: int) -> None:
    """The MACs that the papers and both packages' tables round to 1.81 G."""
    try:
        model = load(f"{package}:{name}")
    except fxcost.FxcostError as error:
        assert f"pip install {package}" in str(error) and error.status == "USAGE"
        pytest.skip(f"{package} is not installed: only the message was checked")
    _, analysis = analysed(model.module, model.args)
    assert analysis.totals().counts.macs == macs


# ---- inputs of transformers models -----------------------------------------------------------------------------------

TRANSFORMERS = {
    "layoutlm": ({"num_hidden_layers": 1}, "bbox i64[2, 16, 4]"),
    "bros": ({"num_hidden_layers": 1}, "bbox f32[2, 16, 8]"),
    "decision_transformer": ({"n_layer": 1}, "returns_to_go f32[2, 16, 1]"),
    "time_series_transformer": ({"prediction_length": 4, "context_length": 8}, "past_values f32[2, 15]"),
    "dac": ({}, "input_values f32[2, 1, 4096]"),
    "clip": ({"text_config.num_hidden_layers": 1, "vision_config.num_hidden_layers": 1}, "pixel_values f32[2, 3, 224"),
    "audio-spectrogram-transformer": ({"num_hidden_layers": 1}, "input_values f32[2, 1024, 128]"),
    "bart": ({"encoder_layers": 1, "decoder_layers": 1}, "decoder_input_ids i64[2, 16]"),
}


@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_inputs_that_fit_the_kind_of_model(kind: str) -> None:
    """A selection; bench/architectures.py has the long list."""
    pytest.importorskip("transformers")
    settings, words = TRANSFORMERS[kind]
    model = load(f"hf:{kind}", Options(batch=2, seq=4096 if kind == "dac" else 16, settings=settings))
    data = model.capture().to_bytes()
    analysis = Analysis(Program.from_bytes(data, kind))
    assert words in Fxir(data).capture["inputs"]
    assert analysis.totals().counts.macs > 0


def test_a_model_of_unusual_inputs_shows_its_signature() -> None:
    pytest.importorskip("transformers")
    with pytest.raises(fxcost.FxcostError, match=r"expected: forward\(") as caught:
        load("hf:blip_2_qformer", Options(settings={"num_hidden_layers": 1}))
    assert "--input" in str(caught.value) and len(str(caught.value).splitlines()) <= 5
    inputs = ["query_embeds=f32[2,32,768]", "encoder_hidden_states=f32[2,9,1408]"]
    model = load("hf:blip_2_qformer", Options(settings={"num_hidden_layers": 1}, inputs=inputs))
    assert Analysis(Program.from_bytes(model.capture().to_bytes(), "qformer")).totals().counts.macs > 0


@pytest.mark.parametrize(("kind", "places"), [("llava", 576), ("paligemma", 256), ("gemma3", 256)])
def test_images_have_their_places_in_the_text(kind: str, places: int) -> None:
    """As many tokens stand for the image as transformers' own configuration says that it has features."""
    model = load(f"hf:{kind}", Options(seq=32))
    config = model.module.config
    sizes = (getattr(config, "image_seq_length", None), getattr(config, "mm_tokens_per_image", None))
    assert places in (*sizes, getattr(config.text_config, "num_image_tokens", None))
    ids = model.kwargs["input_ids"]
    assert ids.shape == (1, places + 32)
