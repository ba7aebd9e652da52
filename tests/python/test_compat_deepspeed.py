"""DeepSpeed's profiler with one import changed. Counts follow from the sizes of the model by DeepSpeed's formulas,
which are flops_profiler's; where DeepSpeed is installed, it is asked too, and its printed profile is compared line by
line."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from test_compat_flops_profiler import (
    BLOCKS,
    CONV,
    CONV_MACS,
    HEAD,
    IMAGE,
    LINEAR_MACS,
    NORM,
    PARAMS,
    RELU,
    Cnn,
    Net,
    TwoNames,
    bert,
)
from test_compat_flops_profiler import Engine as OneEngine

from fxcost.compat.deepspeed import FlopsProfiler, get_model_profile

INSTALLED = importlib.util.find_spec("deepspeed") is not None
LIVE = pytest.mark.skipif(not INSTALLED, reason="deepspeed is not installed here")
MACS = CONV_MACS + BLOCKS // 2 + LINEAR_MACS


class Engine(OneEngine):
    """As much of DeepSpeed's engine as is asked for."""

    has_moe_layers = False

    def timers(self, name: str) -> Any:
        return super().timers({"fwd": "forward", "bwd": "backward", "step": "step"}[name])


def profile_of(profiler: Any, capsys: pytest.CaptureFixture[str], engine: Any = None, **how: Any) -> str:
    """The printed profile of one step of a training loop."""
    torch.manual_seed(0)
    prof = profiler(Net(), engine, **how)
    prof.start_profile()
    prof.model(torch.randn(IMAGE)).sum().backward()
    prof.print_model_profile(profile_step=7, top_modules=2)
    prof.end_profile()
    return capsys.readouterr().out


def parsed(text: str) -> dict[str, Any]:
    """Titles and numbers of a profile, without what is measured."""
    unmeasured = {
        title: value
        for title, value in re.findall(r"^(\S.*?: ) +(\S.*?) *$", text, re.M)
        if not title.startswith(("fwd latency", "fwd FLOPS"))
    }
    return {
        "titles": [line for line in text.splitlines() if line.startswith(("----", "Top", "depth", "Profile"))],
        "lines": unmeasured,
        "aggregated": re.findall(r"^    (?:params|MACs) +- .*$", text, re.M),
        "modules": [  # two of equal measured time print as one
            re.sub(r"[\d.e+-]+ [mu]?s = [\d.e+-]+% latency, [\d.e+-]+ [TGMK]?FLOPS", "measured", line)
            for line in re.sub(r"( +)\((\d)-(\d)\): 2 x (.*\n)", r"\1(\2): \4\1(\3): \4", text).splitlines()
            if "% Params" in line
        ],
    }


def test_a_step_of_a_training_loop(capsys: pytest.CaptureFixture[str]) -> None:
    found = parsed(profile_of(FlopsProfiler, capsys))
    assert found["titles"][:2] == [
        "-------------------------- DeepSpeed Flops Profiler --------------------------",
        "Profile Summary at step 7:",
    ]
    flops = CONV + NORM + RELU + BLOCKS + 32 + HEAD
    assert found["lines"]["fwd flops per GPU: "] == f"{flops / 1e3:.2f} K".replace("0 K", " K")
    assert found["lines"]["fwd MACs per GPU: "] == f"{round(MACS / 1e3, 2):g} KMACs"
    share = f"{round(100 * CONV_MACS / MACS, 2):g}"
    assert (
        f"  (conv): Conv2d(224 = {round(100 * 224 / PARAMS, 2):g}% Params, 27.65 KMACs = {share}% MACs, measured"
        in (line[: line.index("measured") + 8] for line in found["modules"])
    )
    assert "    MACs        - {'Net': '28.29 KMACs'}" in found["aggregated"]


def test_lines_of_an_engine(capsys: pytest.CaptureFixture[str]) -> None:
    lines = parsed(profile_of(FlopsProfiler, capsys, Engine(), recompute_fwd_factor=1.0))["lines"]
    flops = CONV + NORM + RELU + BLOCKS + 32 + HEAD
    assert lines["bwd FLOPS per GPU = 3 * fwd flops per GPU / bwd latency: "] == f"{3 * flops / 4e4:.2f} MFLOPS"
    assert lines["samples/second: "] == f"{24 / 0.07:.2f}"
    assert lines["params of model = params per GPU * mp_size: "] == f"{round(2 * PARAMS / 1e3, 2):g} K"


def test_get_model_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = 4 * 8 * 256 * 27, 4 * 16 * 36 * 72
    macs = first + second + 4 * 64 * 10
    answer = get_model_profile(Cnn(), (4, 3, 32, 32), output_file=str(tmp_path / "profile.txt"))
    assert answer[1:] == (f"{round(macs / 1e3, 2):g} KMACs", "2.04 K")
    assert capsys.readouterr().out == "" and "DeepSpeed Flops Profiler" in (tmp_path / "profile.txt").read_text()
    flops, _, params = get_model_profile(Net(), IMAGE, print_profile=False, as_string=False)
    assert (flops, params) == (CONV + NORM * 2 // 5 + RELU + BLOCKS + 32 + HEAD, PARAMS)


# ---- against DeepSpeed itself ---------------------------------------------------------------------------------------


@LIVE
@pytest.mark.parametrize("engine", [None, Engine()])
def test_the_same_as_deepspeed_prints(engine: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from deepspeed.profiling.flops_profiler import FlopsProfiler as Own

    printed, expected = (parsed(profile_of(profiler, capsys, engine)) for profiler in (FlopsProfiler, Own))
    assert len(expected["modules"]) == 9 and len(expected["lines"]) >= 4
    if engine is None:  # DeepSpeed multiplies by the size that its engine tells, and prints 0 without one
        assert expected["lines"].pop("params of model = params per GPU * mp_size: ") == "0"
    printed["lines"] = {title: printed["lines"].get(title) for title in expected["lines"]}
    assert printed == expected


@LIVE
def test_the_same_numbers_as_deepspeed() -> None:
    from deepspeed.profiling.flops_profiler import get_model_profile as own

    ids = torch.zeros(1, 12, dtype=torch.long)
    asked: list[tuple[Any, dict[str, Any]]] = [
        (Cnn(), {"input_shape": (4, 3, 32, 32)}),
        (Net(), {"args": [torch.randn(IMAGE)]}),
        (TwoNames(), {"args": [torch.randn(2, 16)]}),
        (bert(), {"kwargs": {"input_ids": ids, "attention_mask": torch.ones_like(ids)}}),
    ]
    for model, how in asked:
        for strings in (False, True):
            options = {"print_profile": False, "as_string": strings, **how}
            assert get_model_profile(model, **options) == own(model, **options)
