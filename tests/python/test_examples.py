"""The examples run and count what torch's FlopCounterMode counts."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import fxcost
from fxcost.binding import Formula

transformers = pytest.importorskip("transformers", reason="transformers is needed for the models of the examples")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["count_block", "generation"])
def test_the_whole_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    example = load(name)
    with sdpa_kernel(SDPBackend.MATH):
        report = example.main()
        with FlopCounterMode(display=False) as counter:
            example.main()
    assert report.matrix_flops == counter.get_total_flops() > 0
    assert "executed path" in capsys.readouterr().out


def test_one_step_of_a_training_loop(capsys: pytest.CaptureFixture[str]) -> None:
    report = load("profile_step").main()
    forward = 2 * 16 * (32 * 64 + 64 * 4)
    assert report.matrix_flops == 3 * forward - 2 * 16 * 32 * 64  # the first layer's input needs no gradient
    shown = capsys.readouterr().out
    assert shown.count("step 5: ") == 1
    assert "step 4" not in shown


def eager(run: Callable[[], object]) -> int:
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def test_bert(capsys: pytest.CaptureFixture[str]) -> None:
    program = load("bert").main(layers=2)
    model = transformers.BertModel(transformers.BertConfig(num_hidden_layers=2)).eval()
    assert fxcost.Report(program).matrix_flops == eager(lambda: model(torch.zeros(1, 128, dtype=torch.int64)))
    shown = capsys.readouterr().out
    assert "flops_profiler: " in shown and "fvcore: " in shown


def test_t5_in_both_lengths() -> None:
    program = load("t5").main()
    config = transformers.T5Config(d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4, vocab_size=200)
    model = transformers.T5ForConditionalGeneration(config).eval()
    ids, decoder = torch.ones(3, 11, dtype=torch.int64), torch.ones(3, 4, dtype=torch.int64)
    expected = eager(lambda: model(input_ids=ids, decoder_input_ids=decoder, use_cache=False))
    assert Formula(program, "matrix_flops").evaluate(batch=3, source=11, target=4) == expected


def test_vision(capsys: pytest.CaptureFixture[str]) -> None:
    report = load("vision").main()
    sizes = {"hidden_size": 192, "num_hidden_layers": 4, "num_attention_heads": 3, "intermediate_size": 768}
    model = transformers.ViTForImageClassification(transformers.ViTConfig(**sizes)).eval()
    assert report.matrix_flops == eager(lambda: model(torch.zeros(1, 3, 224, 224)))
    assert "ViTLayer" in capsys.readouterr().out


def test_gpt2_forward_step_and_generation(capsys: pytest.CaptureFixture[str]) -> None:
    forward, step = load("gpt2").main()
    config = transformers.GPT2Config(n_layer=2, n_embd=64, n_head=4, vocab_size=1000)
    model = transformers.GPT2LMHeadModel(config)
    ids = torch.ones(2, 16, dtype=torch.int64)
    assert forward.matrix_flops == eager(lambda: model.eval()(input_ids=ids, use_cache=False))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.train()(input_ids=ids, labels=ids).loss.backward()
    assert step.matrix_flops == counter.get_total_flops()
    assert "100 tokens after 500: " in capsys.readouterr().out


def test_a_window_against_all_pairs() -> None:
    length, window, width = 64, 16, 256
    flops = load("windowed_attention").main(length, window)
    pairs = {"full": length**2, "causal": length * (length + 1) // 2}
    pairs[f"window:{window}"] = sum(min(i + 1, window) for i in range(length))
    linear = 2 * length * width * 4 * width
    heads, work = 4, lambda count: 2 * 2 * width * count  # both products of all heads together
    softmax = {kind: heads * (5 * count - 2 * length) for kind, count in pairs.items()}
    assert flops == {kind: linear + work(count) + softmax[kind] for kind, count in pairs.items()}


def test_a_training_loop(capsys: pytest.CaptureFixture[str]) -> None:
    load("training_loop").main()
    lines = [line for line in capsys.readouterr().out.splitlines() if "FLOP/s" in line]
    assert len(lines) == 5


def test_no_recording_is_left_running() -> None:
    assert torch._C._len_torch_dispatch_stack() == 0


def test_tensor_parallel_layer(capsys: pytest.CaptureFixture[str]) -> None:
    example = load("tensor_parallel")
    whole, one = example.main()
    assert whole.matrix_flops == 2 * 2 * 4 * 128 * 512 * 2048 == example.DEVICES * one.matrix_flops
    assert f"_c10d_functional.all_reduce.default: {4 * 128 * 512 * 4:,} B" in capsys.readouterr().out
