"""flops_profiler's class and function with one import changed. Counts follow from the sizes of the model by
flops_profiler's formulas (2 per multiply-add and 1 per element of a convolution's bias, 5 per element of a batch norm
in training and 2 else); where flops_profiler is installed, it is asked too."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import fxcost
from fxcost.compat.calflops import calculate_flops, calculate_flops_hf
from fxcost.compat.flops_profiler import FlopsProfiler, get_model_profile
from fxcost.errors import FxcostError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "peers"))

from programs import TwoNames  # noqa: E402

INSTALLED = importlib.util.find_spec("flops_profiler") is not None
LIVE = pytest.mark.skipif(not INSTALLED, reason="flops_profiler is not installed here")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.blocks = nn.ModuleList([nn.Linear(8, 8) for _ in range(2)])
        self.head = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.conv(x))).mean((2, 3))
        for block in self.blocks:
            x = torch.mul(block(x), 2)
        return self.head(x)


class Cnn(nn.Module):
    """Layers only, as torchvision's AlexNet of the documented example is."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3))
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.classifier = nn.Sequential(nn.Dropout(), nn.Linear(64, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.pool(self.features(x)), 1))


IMAGE = (2, 3, 10, 10)
CONV_MACS, LINEAR_MACS = 2 * 8 * 64 * 27, 2 * (8 * 16 + 16 * 4)
CONV, NORM, RELU = 2 * CONV_MACS + 2 * 8 * 64, 5 * 2 * 8 * 64, 2 * 8 * 64
BLOCKS, HEAD = 2 * 2 * 2 * 8 * 8, 2 * LINEAR_MACS + 2 * 16
PARAMS = 8 * 27 + 8 + 16 + 2 * 72 + 144 + 68


def declare_torchvision() -> None:
    """Where there is a torchvision, transformers imports it."""
    if importlib.util.find_spec("torchvision") is not None:
        import torchvision_ops  # noqa: F401


def bert() -> nn.Module:
    declare_torchvision()
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    return BertModel(
        BertConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            vocab_size=100,
            attn_implementation="eager",
        )
    )


def train(profiler: type[Any], steps: int = 3, at: int = 1) -> tuple[tuple[int, int, int], Any]:
    """The documented example: a training loop that profiles one step."""
    torch.manual_seed(0)
    model = Net()
    prof = profiler(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    numbers = (0, 0, 0)
    for step in range(steps):
        if step == at:
            prof.start_profile()
        loss = model(torch.randn(IMAGE)).sum()
        if step == at:
            numbers = prof.get_total_flops(), prof.get_total_macs(), prof.get_total_params()
            prof.print_model_profile(profile_step=at)
            prof.end_profile()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return numbers, model


def test_a_step_of_a_training_loop(capsys: pytest.CaptureFixture[str]) -> None:
    matmul, linear = torch.matmul, F.linear
    (flops, macs, params), model = train(FlopsProfiler)
    assert flops == CONV + NORM + RELU + BLOCKS + 2 * 2 * 8 + HEAD
    assert (macs, params) == (CONV_MACS + BLOCKS // 2 + LINEAR_MACS, PARAMS)
    assert (torch.matmul, F.linear) == (matmul, linear) and "add" not in vars(torch.Tensor)
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())
    assert "Profile Summary at step 1:" in capsys.readouterr().out


class _Nothing:
    def __getattr__(self, name: str) -> Any:
        return lambda *_args, **_kwargs: 0


def test_profiling_changes_nothing_of_the_training(capsys: pytest.CaptureFixture[str]) -> None:
    _, profiled = train(FlopsProfiler)
    _, plain = train(lambda _: _Nothing())
    capsys.readouterr()
    for name, value in plain.state_dict().items():
        assert torch.equal(profiled.state_dict()[name], value), name


def test_generation_counts_every_call_of_the_model() -> None:
    declare_torchvision()
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=50, n_positions=32, attn_implementation="eager")
    )
    ids = torch.ones(1, 4, dtype=torch.long)
    how: dict[str, Any] = {"min_new_tokens": 3, "max_new_tokens": 3, "do_sample": False, "pad_token_id": 0}
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    options: dict[str, Any] = {"print_profile": False, "warm_up": 0, "convention": "deepspeed"}
    _, macs, _ = get_model_profile(model, kwargs={**inputs, **how}, mode="generate", **options)
    _, prompt, _ = get_model_profile(model, kwargs=inputs, **options)
    # a step: four projections of a block, twice a product with what is in the cache, the head
    steps = [12 * 16 * 16 + 2 * 16 * length + 16 * 50 for length in (5, 6)]
    head_of_prompt = 3 * 16 * 50  # generation asks for the last place only
    assert macs == prompt - head_of_prompt + sum(steps)


def test_start_stop_reset_end() -> None:
    model = Net().eval()
    prof = FlopsProfiler(model)
    with pytest.raises(FxcostError, match="nothing is profiled"):
        prof.get_total_flops()
    prof.start_profile()
    x = torch.randn(IMAGE)
    model(x)
    once = prof.get_total_flops()
    model(x)
    model(x[:1])
    assert prof.get_total_flops() == 2 * once + once // 2
    prof.stop_profile()
    model(x)
    assert prof.get_total_flops() == 2 * once + once // 2
    assert prof.get_total_params() == PARAMS
    assert prof.get_total_flops(as_string=True) == f"{round((2 * once + once // 2) / 1e3, 2)} K"
    seconds, functions = prof.get_total_duration(), prof.get_total_functional_duration()
    assert 0 < functions < seconds < 60
    assert 0 < prof.of_module(model.head)[3] < seconds and prof.of_module(model.blocks)[3] > 0
    prof.start_profile()
    assert prof.get_total_flops() == 0
    model(x)
    prof.reset_profile()
    model.head(torch.randn(2, 8))
    assert prof.get_total_flops() == HEAD
    prof.end_profile()
    with pytest.raises(FxcostError, match="nothing is profiled"):
        prof.get_total_macs()


def test_exact_figures_beside() -> None:
    model = Net()
    prof = FlopsProfiler(model, exact_backward=True)
    prof.start_profile()
    model(torch.randn(IMAGE))
    prof.stop_profile()
    forward, backward = prof.get_exact_flops()
    assert forward == fxcost.analyze(model, (torch.randn(IMAGE),)).flops
    phases = fxcost.analyze(model, (torch.randn(IMAGE),), mode="train").phases
    assert backward == phases["backward"] + phases["accumulation"] > 0
    assert {entry.op for entry in prof.left_out()} >= {"aten.mean.dim"}


def test_what_cannot_be_counted_is_said() -> None:
    model = nn.Sequential(nn.ConvTranspose2d(3, 4, 3))
    with pytest.raises(FxcostError, match=r"(?s)NameError.*convention="):
        get_model_profile(model, IMAGE, print_profile=False, warm_up=0)
    with pytest.raises(FxcostError, match="nothing to run"):
        get_model_profile(model)

    class Branch(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + 1 if x.sum().item() > 0 else x

    prof = FlopsProfiler(Branch())
    prof.start_profile()
    assert prof.model(torch.ones(2)).tolist() == [2, 2]  # runs in any case
    with pytest.raises(FxcostError):
        prof.get_total_flops()
    prof.end_profile()


def test_a_model_at_an_input_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flops, macs, params = get_model_profile(
        model=Cnn(), input_shape=(4, 3, 32, 32), output_file=str(tmp_path / "new" / "profile.txt"), top_modules=2
    )
    assert capsys.readouterr().out == ""
    first, second = 4 * 8 * 256 * 27, 4 * 16 * 36 * 72
    assert macs == first + second + 4 * 64 * 10
    # bias of both convolutions, ReLU, the inputs of both poolings
    assert flops == 2 * macs + 4 * (8 * 256 + 16 * 36) + 4 * 8 * 256 + 4 * 8 * 256 + 4 * 16 * 36
    assert params == 8 * 27 + 8 + 16 * 72 + 16 + 650
    text = (tmp_path / "new" / "profile.txt").read_text()
    assert re.search(rf"fwd flops per device: +{round(flops / 1e3, 2)} K", text)
    assert "Top 2 modules in terms of params, flops, MACs or duration at different model depths:" in text
    assert re.search(r"fwd latency: +[\d.]+ (ms|us|s)", text)
    assert "(1): ReLU(module = {'param': '0', 'flops': '8.19 K', 'macs': '0 MACs', 'duration': '" in text


def test_a_layer_that_several_hold_counts_in_each() -> None:
    flops, _, params = get_model_profile(TwoNames(), (2, 16), print_profile=False, warm_up=0)
    assert (flops, params) == (3 * 3 * 2 * 2 * 16 * 16, 16 * 16 + 16)  # three calls, found on three ways
    once, _, _ = get_model_profile(TwoNames(), (2, 16), print_profile=False, warm_up=0, convention="deepspeed")
    assert once == 3 * 2 * 2 * 16 * 16
    with pytest.raises(FxcostError, match="deepspeed or calflops"):
        FlopsProfiler(TwoNames(), convention="thop")


def test_calculate_flops_of_a_named_model(tmp_path: Path) -> None:
    """A folder with a configuration and a tokenizer, as a name on the hub is; the count is that of the model itself."""
    hf = pytest.importorskip("transformers", reason="transformers is needed for models by name")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    config = hf.BertConfig(
        vocab_size=6, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    config.save_pretrained(tmp_path)
    tokenizer = hf.BertTokenizer(str(tmp_path / "vocab.txt"))
    tokenizer.save_pretrained(tmp_path)
    plain = {"output_as_string": False, "print_results": False}
    named = calculate_flops_hf(str(tmp_path), input_shape=(2, 16), **plain)
    model = hf.BertModel(config)
    assert named == calculate_flops(model, (2, 16), transformer_tokenizer=tokenizer, **plain)
    assert named[2] == sum(p.numel() for p in model.parameters())
    linear = 2 * 16 * (2 * (4 * 32 * 32 + 2 * 32 * 64)) + 2 * 32 * 32  # MACs of both layers' products, and the pooler
    assert named[1] >= linear


def test_calculate_flops(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = calculate_flops(Net(), IMAGE, output_as_string=False, print_results=False)
    counted = CONV + NORM * 2 // 5 + RELU + BLOCKS + 2 * 2 * 8 + HEAD
    assert numbers == (counted, CONV_MACS + BLOCKS // 2 + LINEAR_MACS, PARAMS)
    both = calculate_flops(Net(), args=[torch.randn(IMAGE)], include_backPropagation=True, output_precision=4)
    assert both == (f"{round(3 * counted / 1e3, 4):g} KFLOPS", f"{round(3 * numbers[1] / 1e3, 4):g} KMACs", "596")
    printed = capsys.readouterr().out
    assert "(conv): Conv2d(224 = 37.5839% Params, 27.65 KMACs = " in printed
    assert re.search(rf"fwd FLOPs: +{round(counted / 1e3, 4):g} KFLOPS", printed)


@pytest.mark.skipif(importlib.util.find_spec("calflops") is None, reason="calflops is not installed here")
def test_the_same_as_calflops(capsys: pytest.CaptureFixture[str]) -> None:
    bert_model = bert()  # before calflops imports torchvision
    from calflops import calculate_flops as own

    ids = torch.zeros(1, 12, dtype=torch.long)
    for model, how in ((Net(), {"input_shape": IMAGE}), (TwoNames(), {"input_shape": (2, 16)}), (bert_model, {})):
        inputs: dict[str, Any] = how or {"kwargs": {"input_ids": ids, "attention_mask": torch.ones_like(ids)}}
        for options in ({}, {"output_precision": 4, "include_backPropagation": True}, {"output_unit": "M"}):
            answers, faces = [], []
            for function in (calculate_flops, own):
                answers.append(function(model, **inputs, **options))
                lines = capsys.readouterr().out.splitlines()
                faces.append([line for line in lines if re.search(r"% Params|^(Total|fwd.*s:  )|Results --", line)])
            assert answers[0] == answers[1]
            assert faces[0] == faces[1]


def test_strings_and_silence(capsys: pytest.CaptureFixture[str]) -> None:
    answer = get_model_profile(Net(), IMAGE, as_string=True, print_profile=False, warm_up=0)
    # in evaluation, and without what the model itself calls outside of its layers
    counted = CONV + NORM * 2 // 5 + BLOCKS + HEAD
    assert answer == (f"{round(counted / 1e3, 2)} K", "28.29 KMACs", f"{PARAMS}")
    whole, _, _ = get_model_profile(Net(), IMAGE, warm_up=0, convention="deepspeed", print_profile=False)
    assert whole == counted + RELU + 2 * 2 * 8
    assert capsys.readouterr().out == ""


def parsed(text: str) -> dict[str, Any]:
    """Lines of a profile without what is measured: titles, and the numbers of every module."""
    found: dict[str, Any] = {
        "titles": [line for line in text.splitlines() if line.startswith(("----", "Top", "depth", "Profile"))]
    }
    for title, value in re.findall(r"^(params per|params of|fwd MACs|fwd flops)(.*\S) *$", text, re.M):
        found[f"{title}{value.rpartition(':')[0]}"] = value.rpartition(":")[2].strip()
    found["aggregated"] = [
        (title.strip(), ast.literal_eval(value))
        for title, value in re.findall(r"^    (params|flops|MACs) +- (.*)$", text, re.M)
    ]
    modules = [ast.literal_eval(value) for value in re.findall(r"module = (\{.*?\}), functionals", text)]
    found["modules"] = [
        {key: value for key, value in numbers.items() if key not in ("duration", "FLOPS", "duration%")}
        for numbers in modules
    ]
    return found


def test_the_printed_faces(capsys: pytest.CaptureFixture[str]) -> None:
    train(FlopsProfiler)
    found = parsed(capsys.readouterr().out)
    assert found["modules"][1] == {
        "param": "224",
        "flops": "56.32 K",
        "macs": "27.65 KMACs",
        "params%": f"{224 / PARAMS:.2%}",
        "flops%": f"{CONV / (CONV + NORM + RELU + BLOCKS + 32 + HEAD):.2%}",
        "macs%": f"{CONV_MACS / (CONV_MACS + BLOCKS // 2 + LINEAR_MACS):.2%}",
    }
    assert ("MACs", {"Conv2d": "27.65 KMACs"}) in found["aggregated"]


@LIVE
def test_the_same_as_flops_profiler_prints(capsys: pytest.CaptureFixture[str]) -> None:
    from flops_profiler.profiler import FlopsProfiler as Own

    ours, _ = train(FlopsProfiler)
    printed = parsed(capsys.readouterr().out)
    theirs, _ = train(Own)
    expected = parsed(capsys.readouterr().out)
    assert ours == theirs
    assert {key: printed.get(key) for key in expected} == expected


class Engine:
    """As much of DeepSpeed's engine as is asked for."""

    world_size, dp_world_size, mp_world_size = 8, 4, 2

    def train_micro_batch_size_per_gpu(self) -> int:
        return 3

    def wall_clock_breakdown(self) -> bool:
        return True

    def timers(self, name: str) -> Any:
        timer = type("Timer", (), {})()
        timer.elapsed = lambda _reset: {"forward": 20.0, "backward": 40.0, "step": 10.0}[name]
        return timer


def lines_of(profiler: type[Any], capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    prof = profiler(Net(), Engine())
    prof.start_profile()
    prof.model(torch.randn(IMAGE))
    prof.print_model_profile(detailed=False)
    prof.end_profile()
    return dict(re.findall(r"^(.*?: ) +(\S.*?) *$", capsys.readouterr().out, re.M))


def test_lines_of_an_engine(capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(FlopsProfiler, capsys)
    flops = CONV + NORM + RELU + BLOCKS + 32 + HEAD
    assert lines["bwd FLOPS per device = 2 * fwd flops per device / bwd latency: "] == f"{flops / 2e4:.2f} MFLOPS"
    assert lines["samples/second: "] == f"{24 / 0.07:.2f}"
    assert lines["params of model = params per device * mp_size: "] == f"{2 * PARAMS / 1e3:.2f} k"
    if INSTALLED:
        from flops_profiler.profiler import FlopsProfiler as Own

        theirs = lines_of(Own, capsys)
        assert len(theirs) > 15
        assert {title: lines.get(title) for title in theirs} == theirs


@LIVE
@pytest.mark.parametrize("ignored", [None, [nn.Linear], [nn.Sequential], [Net]])
def test_the_same_numbers_as_flops_profiler(ignored: Any) -> None:
    from flops_profiler.profiler import get_model_profile as own

    ids = torch.zeros(1, 12, dtype=torch.long)
    asked: list[tuple[nn.Module, dict[str, Any]]] = [
        (Cnn(), {"input_shape": (4, 3, 32, 32)}),
        (Net(), {"args": [torch.randn(IMAGE)]}),
        (TwoNames(), {"args": [torch.randn(2, 16)]}),
        (bert(), {"kwargs": {"input_ids": ids, "attention_mask": torch.ones_like(ids)}}),
    ]
    for model, how in asked:
        options = {"print_profile": False, "warm_up": 1, "ignore_modules": ignored, **how}
        for strings in (False, True):
            assert get_model_profile(model, as_string=strings, **options) == own(model, as_string=strings, **options)
