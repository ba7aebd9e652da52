"""Model arguments of the command line, and the other things that capture() takes."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from fxir_reader import Fxir
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.passes.fake_tensor_prop import FakeTensorProp

import fxcost
from fxcost.binding import Analysis, Program
from fxcost.models import load
from fxcost.options import Options, parse_settings

SOURCE = """
import torch
from helper_of_the_model import width
from torch.export import Dim

class Net(torch.nn.Module):
    def __init__(self, layers=1):
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(width, width) for _ in range(layers))
        self.drop = torch.nn.Dropout(0.1)
    def forward(self, x):
        for layer in self.layers:
            x = self.drop(layer(x))
        return x

def model():
    return Net(), torch.ones(2, width)
def sized(batch=3, layers=1):
    return Net(layers), (torch.ones(batch, width),)
def dynamic():
    return Net(), (torch.ones(4, width),), None, {"x": {0: Dim("batch")}}
def by_name():
    return {"module": Net(), "kwargs": {"x": torch.ones(2, width)}}
def bare():
    return Net()
def wrong():
    return 3
def no_module():
    return "net", torch.ones(1)
def too_long():
    return Net(), (), {}, None, 5
def broken():
    raise RuntimeError("no such luck")
number = 7
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    (folder / "helper_of_the_model.py").write_text("width = 4\n")
    path = folder / "net.py"
    path.write_text(SOURCE)
    return path


def captured(spec: str, options: Options | None = None, **flags: Any) -> Fxir:
    data = load(spec, options).capture(**flags).to_bytes()
    Analysis(Program.from_bytes(data, spec)).require("verify")
    return Fxir(data)


@pytest.mark.parametrize(
    ("name", "options", "inputs"),
    [
        ("", None, "x f32[2, 4]"),
        (":sized", None, "x f32[3, 4]"),
        (":sized", Options(batch=7), "x f32[7, 4]"),
        (":dynamic", None, "x f32[batch=4, 4]"),
        (":by_name", None, "x f32[2, 4]"),
        (":model", Options(dtype="bf16"), "x bf16[2, 4]"),
    ],
)
def test_functions_of_a_file(source: Path, name: str, options: Options | None, inputs: str) -> None:
    file = captured(f"{source}{name}", options)
    assert file.capture["inputs"] == inputs
    assert (file.capture["training"], file.capture["grad"]) == (False, False)


def test_settings_reach_the_function(source: Path) -> None:
    file = captured(f"{source}:sized", Options(settings=parse_settings(["layers=3"])))
    assert file.ops().count("aten.linear.default") == 3


def test_train_and_grad_on_request(source: Path) -> None:
    file = captured(str(source), train=True, grad=True)
    assert (file.capture["training"], file.capture["grad"]) == (True, True)
    assert file.args(file.node("dropout"))["train"] is True


def test_a_function_of_a_package(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(source.parent))
    monkeypatch.delitem(sys.modules, "net", raising=False)
    assert captured("net:model").ops() == ["aten.linear.default", "aten.dropout.default"]


@pytest.mark.parametrize(
    ("spec", "status", "words"),
    [
        ("{source}:wrong", "USAGE", "returned a int; expected a function that returns (module, inputs)"),
        ("{source}:no_module", "USAGE", "returned a str as the module"),
        ("{source}:too_long", "USAGE", "a tuple of 5 (Net, tuple, dict, NoneType, int)"),
        ("{source}:bare", "USAGE", "a module without inputs"),
        ("{source}:number", "USAGE", "is a int"),
        ("{source}:nothing", "USAGE", "has no 'nothing'"),
        ("{source}:broken", "CAPTURE", "no such luck"),
        ("{folder}/none.py", "IO", "no such file"),
        ("{folder}/none.pt2", "IO", "no such file"),
        ("bert", "USAGE", "hf:MODEL_TYPE"),
        ("no_such_package_here:model", "CAPTURE", "No module named"),
        ("hf:no_such_model", "USAGE", "no model type 'no_such_model'"),
        ("hf:{folder}/none.json", "IO", "none.json"),
    ],
)
def test_arguments_that_name_no_model(source: Path, spec: str, status: str, words: str) -> None:
    with pytest.raises(fxcost.FxcostError) as caught:
        load(spec.format(source=source, folder=source.parent))
    assert words in str(caught.value)
    assert caught.value.status == status
    assert len(str(caught.value).splitlines()) <= 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(settings={"widht": 3}), "takes no argument 'widht'"),
        (Options(dtype="float17"), "unknown dtype 'float17'"),
    ],
)
def test_options_that_do_not_apply(source: Path, options: Options, words: str) -> None:
    with pytest.raises(fxcost.FxcostError, match=words):
        load(str(source), options)


def test_settings_are_literals() -> None:
    assert parse_settings(["a=1", "b=2.5", "c=true", "d=null", "e=[1, 2]", "f=text", "g.h=0"]) == {
        "a": 1, "b": 2.5, "c": True, "d": None, "e": [1, 2], "f": "text", "g.h": 0
    }  # fmt: skip
    with pytest.raises(fxcost.FxcostError, match="key=value"):
        parse_settings(["layers"])


# ---- exported programs, .pt2 files, fx graphs --------------------------------------------------------------------


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 4))
        self.linear = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x @ self.weight)
        y.view(-1)[0].mul_(2)
        return y.t()


def test_exported_program_and_pt2(tmp_path: Path) -> None:
    model, x = Net().eval(), torch.ones(2, 3)
    with torch.no_grad():
        direct = Fxir(fxcost.capture(model, x).to_bytes())
        program = torch.export.export(model, (x,))
    torch.export.save(program, tmp_path / "net.pt2")
    given = Fxir(fxcost.capture(program).to_bytes())
    read = captured(str(tmp_path / "net.pt2"))
    assert (given.capture["route"], read.capture["route"]) == ("exported_program", "pt2")
    for file in (given, read):
        assert file.ops() == direct.ops()
        assert file.calls() == direct.calls()
        assert set(file.call_flags) == {file.flag("call_flag", "inferred")}
        assert set(file.params()) == set(direct.params())
        assert file.capture["dialect"] == "training"
        # Views share storages, although a .pt2 file does not say so.
        assert len(file.storage_bytes) == len(direct.storage_bytes)
        names = ("linear", "view", "select", "mul_", "t")
        assert len({file.meta(file.result(file.node(name)))["storage"] for name in names}) == 1


def test_a_pt2_made_from_fake_tensors_keeps_its_parameters_apart(tmp_path: Path) -> None:
    model = load("hf:llama", Options(seq=8, settings=CASES["llama"][0]))
    with torch.no_grad():
        program = torch.export.export(model.module, model.args, model.kwargs)
    torch.export.save(program, tmp_path / "fake.pt2")
    file = captured(str(tmp_path / "fake.pt2"))
    assert numel(file) == sum(parameter.numel() for parameter in model.module.parameters())


class Marker:
    ran = False

    def __reduce__(self) -> tuple[Any, ...]:
        return setattr, (Marker, "ran", True)


def test_a_pt2_runs_no_code(tmp_path: Path) -> None:
    """Sample inputs are a pickle inside the archive: one that would run code is dropped unread."""
    source, target = tmp_path / "net.pt2", tmp_path / "bad.pt2"
    torch.export.save(torch.export.export(Net().eval(), (torch.ones(2, 3),)), source)
    bad = io.BytesIO()
    torch.save(((Marker(),), {}), bad)
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as copy:
        names = [name for name in archive.namelist() if "sample_inputs" in name]
        assert len(names) == 1
        for name in archive.namelist():
            copy.writestr(name, bad.getvalue() if name in names else archive.read(name))
    assert captured(str(target)).ops()[0] == "aten.matmul.default"
    assert not Marker.ran


def test_a_decomposed_program_is_functional() -> None:
    program = torch.export.export(Net().eval(), (torch.ones(2, 3),)).run_decompositions({})
    file = Fxir(fxcost.capture(program).to_bytes())
    assert file.capture["dialect"] == "functional"
    assert "aten.mul_.Tensor" not in file.ops()


def test_functorch_internals_fall_back_to_the_functional_dialect() -> None:
    class Mapped(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.vmap(lambda row: row.sin() + 1)(x)

    file = Fxir(fxcost.capture(Mapped(), torch.ones(3, 4)).to_bytes())
    assert file.capture["dialect"] == "functional"
    assert file.ops() == ["aten.sin.default", "aten.add.Tensor"]


def test_an_aten_graph_with_fake_values() -> None:
    graph = make_fx(lambda x: (x @ x.t()).relu_().shape[0] * x, tracing_mode="fake")(torch.ones(2, 3))
    file = Fxir(fxcost.capture(graph).to_bytes())
    assert file.capture["route"] == "fx"
    assert file.ops() == ["aten.t.default", "aten.mm.default", "aten.relu_.default", "aten.mul.Tensor"]


def test_a_torch_level_graph_becomes_aten() -> None:
    graph = torch.fx.symbolic_trace(Net())
    assert Fxir(fxcost.capture(graph).to_bytes()).capture["route"] == "symbolic_trace"
    FakeTensorProp(graph, FakeTensorMode(allow_non_fake_inputs=True)).propagate(torch.ones(2, 3))
    file = Fxir(fxcost.capture(graph).to_bytes())
    assert file.ops()[:2] == ["aten.matmul.default", "aten.linear.default"]
    assert ("linear", 0) in file.calls()


def test_operators_of_a_graph_that_cannot_run_stay_unresolved() -> None:
    """Addition of tensors is not addition of sizes: it must not look like free scalar arithmetic."""
    graph = torch.fx.Graph()
    x = graph.placeholder("x")
    y = graph.call_function(__import__("operator").add, (x, x))
    graph.output(y)
    y.meta["val"] = torch.ones(2, device="meta")
    module = torch.fx.GraphModule(nn.Module(), graph)
    file = Fxir(fxcost.capture(module).to_bytes())
    assert file.ops() == ["aten.add"]
    assert file.enum_text("op_origin", file.op_origin[0]) == "packet"


# ---- transformers ------------------------------------------------------------------------------------------------

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 99,
}
WHISPER = {"layers": 1, "attention_heads": 4, "ffn_dim": 64}
CASES = {
    "bert": (SMALL, "BertModel", "input_ids i64[2, 16], attention_mask i64[2, 16]"),
    "roberta": (SMALL, "RobertaModel", "input_ids i64[2, 16], attention_mask i64[2, 16]"),
    "gpt2": ({"n_embd": 32, "n_layer": 2, "n_head": 4}, "GPT2LMHeadModel", "input_ids i64[2, 16]"),
    "llama": ({**SMALL, "num_key_value_heads": 2}, "LlamaForCausalLM", "input_ids i64[2, 16]"),
    "mixtral": (
        {**SMALL, "num_key_value_heads": 2, "num_local_experts": 4},
        "MixtralForCausalLM",
        "input_ids i64[2, 16]",
    ),
    "t5": (
        {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4},
        "T5ForConditionalGeneration",
        "input_ids i64[2, 16], decoder_input_ids i64[2, 16]",
    ),
    "vit": (
        {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64},
        "ViTForImageClassification",
        "pixel_values f32[2, 3, 224, 224]",
    ),
    "resnet": ({"depths": [1, 1, 1, 1]}, "ResNetForImageClassification", "pixel_values f32[2, 3, 224, 224]"),
    "swin": ({"depths": [1, 1, 1, 1]}, "SwinForImageClassification", "pixel_values f32[2, 3, 224, 224]"),
    "convnext": ({"depths": [1, 1, 1, 1]}, "ConvNextForImageClassification", "pixel_values f32[2, 3, 224, 224]"),
    "whisper": (
        {f"{part}_{key}": value for part in ("encoder", "decoder") for key, value in WHISPER.items()},
        "WhisperForConditionalGeneration",
        "input_features f32[2, 80, 3000], decoder_input_ids i64[2, 16]",
    ),
}


def numel(file: Fxir) -> int:
    """Elements of parameters, tied ones once."""
    total, seen = 0, set()
    for row in range(len(file.param_name)):
        value = int(file.param_value[row])
        storage = int(file.value_storage[value])
        if file.enum_text("input_kind", file.param_kind[row]) == "parameter" and storage not in seen:
            seen.add(storage)
            total += int(torch.Size(file.meta(value)["size"]).numel())
    return total


@pytest.mark.parametrize("kind", CASES)
def test_models_from_configurations(kind: str) -> None:
    """Parameters against the same architecture built for real by transformers."""
    transformers = pytest.importorskip("transformers")
    settings, cls, inputs = CASES[kind]
    model = load(f"hf:{kind}", Options(batch=2, seq=16, settings=dict(settings)))
    if kind != "convnext":  # whose constructor reads numbers from tensors
        assert all(isinstance(parameter, torch._subclasses.FakeTensor) for parameter in model.module.parameters())
    data = model.capture().to_bytes()
    Analysis(Program.from_bytes(data, kind)).require("verify")
    file = Fxir(data)
    assert file.capture["model"] == f"{cls} (hf:{kind})"
    assert file.capture["inputs"] == inputs
    config = transformers.AutoConfig.for_model(kind, **settings)
    if cls.endswith("ForImageClassification"):
        config.num_labels = 1000
    real = getattr(transformers, cls)(config)
    assert numel(file) == sum(parameter.numel() for parameter in real.parameters())
    names = {name for name, _ in real.named_parameters(remove_duplicate=False)}
    assert names <= set(file.params())


def test_a_config_file_with_its_own_architecture(tmp_path: Path) -> None:
    config = {"model_type": "bert", "architectures": ["BertForMaskedLM"], "dtype": "bfloat16", **SMALL}
    (tmp_path / "config.json").write_text(json.dumps(config))
    for spec in (tmp_path / "config.json", tmp_path):
        file = captured(f"hf:{spec}", Options(seq=8))
        assert file.capture["model"].startswith("BertForMaskedLM (hf:")
        assert file.capture["dtype"] == ("dtype", "bfloat16")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(fxcost.FxcostError, match="no model_type"):
        load(f"hf:{tmp_path}")


def test_hf_settings() -> None:
    with pytest.raises(fxcost.FxcostError, match="num_hidden_layers"):
        load("hf:bert", Options(settings={"num_hiden_layers": 2}))
    with pytest.raises(fxcost.FxcostError, match="has no class"):
        load("hf:bert", Options(settings={"architecture": "BertForNothing"}))
    options = Options(seq=8, settings={**SMALL, "architecture": "BertForSequenceClassification", "num_labels": 5})
    model = load("hf:bert", options)
    assert model.module.classifier.out_features == 5


def test_a_step_with_a_key_value_cache() -> None:
    """The cache goes in and comes out as tensors; its class is no pytree before and after."""
    transformers = pytest.importorskip("transformers")
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SMALL, num_key_value_heads=2)).eval()
    tokens = torch.zeros(1, 8, dtype=torch.int64)
    with torch.no_grad():
        cache = model(tokens).past_key_values
        data = fxcost.capture(model, (), {"input_ids": tokens[:, :1], "past_key_values": cache}).to_bytes()
    Analysis(Program.from_bytes(data, "step")).require("verify")
    file = Fxir(data)
    assert file.capture["inputs"].count("f32[1, 2, 8, 8]") == 4  # keys and values of two layers
    returned = [file.meta(int(payload))["size"] for payload in file.output_payload]
    assert returned == [[1, 1, 99]] + [[1, 2, 9, 8]] * 4
    assert cache.get_seq_length() == 8
    assert transformers.DynamicCache not in torch.utils._pytree.SUPPORTED_NODES
    with torch.no_grad():  # classes that transformers itself registers are still known
        again = fxcost.capture(model, (), {"input_ids": tokens})
    assert Fxir(again.to_bytes()).capture["inputs"] == "input_ids i64[1, 8]"
