"""Closed forms of generating text against executing it: matrix FLOPs are what torch's FlopCounterMode counts around
generate(), FLOPs those of a loop written here, every call of the model recorded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Run
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import fxcost
from fxcost.errors import FxcostError
from fxcost.generation import Generation, generation

hf = pytest.importorskip("transformers", reason="transformers is needed for models that generate")
NO_END = {"bos_token_id": 0, "eos_token_id": None, "pad_token_id": 0}
SIZES = [(2, 1, 1), (5, 2, 1), (7, 9, 2), (16, 24, 3)]


def gpt2() -> Any:
    return hf.GPT2LMHeadModel(hf.GPT2Config(n_layer=2, n_embd=64, n_head=4, vocab_size=100, **NO_END))


def llama() -> Any:
    """Grouped queries."""
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
    return hf.LlamaForCausalLM(hf.LlamaConfig(vocab_size=100, num_key_value_heads=2, **sizes, **NO_END))


MODELS = {"gpt2": gpt2, "llama": llama}


@pytest.fixture(scope="module", params=MODELS)
def captured(request: pytest.FixtureRequest) -> tuple[Any, Generation]:
    torch.manual_seed(0)
    model = MODELS[request.param]().eval()
    return model, generation(model)


def loop(model: Any, ids: torch.Tensor, new: int) -> list[int]:
    """FLOPs of each call of a greedy loop over a cache."""
    flops, past, taken = [], None, ids
    for _ in range(new):
        with torch.no_grad(), fxcost.record(model) as recording:
            found = model(input_ids=taken, past_key_values=past, use_cache=True, logits_to_keep=1)
        flops.append(recording.report().flops)
        past, taken = found.past_key_values, found.logits[:, -1:].argmax(-1)
    return flops


@pytest.mark.parametrize(("prompt", "new", "batch"), SIZES)
def test_matrix_flops_are_those_of_generate(
    captured: tuple[Any, Generation], prompt: int, new: int, batch: int
) -> None:
    model, closed = captured
    ids = torch.randint(1, 100, (batch, prompt))
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        answer = model.generate(ids, max_new_tokens=new, do_sample=False)
    assert answer.shape == (batch, prompt + new)
    found = closed.evaluate("matrix_flops", prompt=prompt, new=new, batch=batch)
    assert found == counter.get_total_flops() == 2 * closed.evaluate("macs", prompt=prompt, new=new, batch=batch)


@pytest.mark.parametrize(("prompt", "new", "batch"), SIZES[:3])
def test_flops_are_the_sum_over_the_calls(captured: tuple[Any, Generation], prompt: int, new: int, batch: int) -> None:
    model, closed = captured
    calls = loop(model, torch.randint(1, 100, (batch, prompt)), new)
    assert closed.evaluate("matrix_flops", prompt=prompt, new=new, batch=batch) <= sum(calls)
    step = [
        closed.evaluate("flops", prompt=prompt, new=n, batch=batch)
        - (closed.evaluate("flops", prompt=prompt, new=n - 1, batch=batch) if n > 1 else 0)
        for n in range(1, new + 1)
    ]
    assert step == calls


def test_the_closed_form_says_what_it_is_in(captured: tuple[Any, Generation]) -> None:
    _, closed = captured
    text = closed.formula("macs")
    assert all(name in text for name in ("batch", "prompt", "new^2", "prompt*new"))
    assert closed.formula("params") == str(closed.evaluate("params", prompt=3, new=50))
    with pytest.raises(FxcostError, match="1 or more"):
        closed.evaluate(prompt=0, new=3)


def test_a_model_without_a_cache_is_refused() -> None:
    with pytest.raises(FxcostError, match="a model without a cache"):
        generation(torch.nn.Linear(2, 2))


def test_the_command(run: Run, tmp_path: Path) -> None:
    settings = [f"--set={text}" for text in ("n_layer=1", "n_embd=32", "n_head=2", "vocab_size=64")]
    answer = run("formula", "hf:gpt2", *settings, "--generate", "--quantity", "macs", FXCOST_PYTHON=sys.executable)
    assert answer.returncode == 0, answer.stderr
    small = hf.GPT2LMHeadModel(hf.GPT2Config(n_layer=1, n_embd=32, n_head=2, vocab_size=64, **NO_END)).eval()
    assert answer.stdout.split(None, 1)[1].strip() == generation(small).formula("macs")
    alone = run("formula", tmp_path / "first.fxir", "--generate")
    assert alone.returncode != 0


def test_an_encoder_and_decoder_have_no_such_form() -> None:
    """Two caches, of which one does not grow: refused by name, not counted wrongly."""
    from transformers import T5Config, T5ForConditionalGeneration

    model = T5ForConditionalGeneration(T5Config(d_model=16, d_kv=4, d_ff=32, num_layers=1, num_heads=2, vocab_size=50))
    with pytest.raises(FxcostError, match="decoder-only"):
        generation(model)
