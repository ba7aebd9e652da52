"""Memory: liveness against what is alive while the captured module runs."""

from __future__ import annotations

import contextlib
import gc
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils._pytree import tree_map

from checks import ROOT, Result

sys.path.insert(0, str(ROOT / "tests" / "python"))

# With real weights these take more memory than a small machine has, or torch.export does not take them.
_LARGE = {"gptj", "perceiver", "deberta-v2", "xlm", "albert", "gpt_neo", "luke", "sam", "mask2former", "efficientnet"}
_REFUSED = {"longformer", "encodec"}
# Why a peak differs: what is captured is not what runs.
_EXPLAINED = {
    "patchtst": "torch's fake batch_norm keeps strides of a transposed input that the kernel for a CPU does not"
}
_FAMILIES = ("encoder", "vision", "encoder-decoder", "audio", "time and video")
_SMALL = {"hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 4, "num_key_value_heads": 2}
_DECODERS = ("llama", "mistral", "qwen2", "gemma2", "stablelm", "cohere", "olmo2")


def _real(value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    floating = value.dtype.is_floating_point
    return (torch.randn if floating else torch.ones)(tuple(value.shape), dtype=value.dtype)


def _built(kind: str, settings: dict[str, Any]) -> tuple[torch.nn.Module, tuple[Any, ...], dict[str, Any]]:
    """A model type with real weights and inputs."""
    from shape_models import architecture

    fake = architecture(kind, settings)
    config = fake.module.config
    if hasattr(config, "use_cache"):
        config.use_cache = False
    inputs = {key: value for key, value in tree_map(_real, dict(fake.kwargs)).items() if not key.startswith("past_key")}
    return type(fake.module)(config).eval(), tree_map(_real, fake.args), inputs


def _models() -> Iterator[tuple[str, dict[str, Any]]]:
    from shape_models import ARCHITECTURES

    for family in _FAMILIES:
        for kind, settings in ARCHITECTURES[family].items():
            if kind not in _LARGE | _REFUSED:
                yield kind, settings
    for kind in _DECODERS:
        yield kind, {**ARCHITECTURES["decoder"][kind], **_SMALL, "vocab_size": 1000}


def live_bytes(folder: Path) -> Iterator[Result]:
    """Peak of live tensor bytes against a tracker of storages over torch.fx.Interpreter, and the gap to the eager
    module, whose Python frames hold their variables."""
    del folder
    from memory_oracle import compare, eager_peak

    equal = models = 0
    for kind, settings in _models():
        with contextlib.redirect_stderr(io.StringIO()):
            model, args, inputs = _built(kind, settings)
            found = compare(model, args, inputs)
            eager = eager_peak(model, args, inputs)
        models += 1
        equal += found.peak == found.seen
        told = f"; {found.untold} nodes untold" if found.untold else ""
        told += f"; {_EXPLAINED[kind]}" if found.peak != found.seen and kind in _EXPLAINED else ""
        yield Result(
            f"{kind}: tracker {found.seen:,}, eager module {eager - found.seen:+,}",
            f"{found.peak:,}; {len(found.differing)} of {found.nodes} nodes differ{told}",
            "equal, or a lower bound with nodes untold, or a reason",
            found.peak == found.seen or (found.untold > 0 and found.peak < found.seen) or kind in _EXPLAINED,
        )
        del model, found
        gc.collect()
    yield Result("models with an equal peak", f"{equal} of {models}", "at least 25", equal >= 25)


def training_bytes(folder: Path) -> Iterator[Result]:
    """Peak of a training step (forward, backward, AdamW) against a tracker of storages around the eager step."""
    del folder
    from memory_oracle import training_step
    from training_models import MODELS

    import fxcost

    near = 0
    for name, build in MODELS.items():
        model, inputs = build()
        model.train()
        if hasattr(model, "config"):
            model.config.use_cache = False
        found = fxcost.analyze(model, (), inputs, mode="train", optimizer="adamw").memory().peak_bytes
        seen, _ = training_step(model, inputs, torch.optim.AdamW(model.parameters()), lambda output: output.loss)
        apart = 100 * (found / seen - 1)
        near += abs(apart) <= 1
        yield Result(f"{name}, trained: tracker {seen:,}", f"{found:,} ({apart:+.3f} %)", "1 %", abs(apart) <= 1)
    yield Result("training steps within 1 %", f"{near} of {len(MODELS)}", "at least 8", near >= 8)


def llama_fits(folder: Path) -> Iterator[Result]:
    """Llama-3-8B and 70B in bfloat16, all layers: memory over batch and sequence, and the largest sizes that fit,
    against a closed form."""
    del folder
    from llama_memory import LLAMA_8B, LLAMA_70B, disagreements

    devices = {"h100-sxm": 80e9, "h200-sxm": 141e9, "b200": 180e9, "mi300x": 192e9, "mi355x": 288e9}
    for name, model in (("8B", LLAMA_8B), ("70B", LLAMA_70B)):
        found = disagreements(model, model.program(), devices)
        figure = found[0] if found else "equal"
        yield Result(f"Llama-3-{name}: 16 sizes, 5 devices", figure, "equal but for 64 bytes", not found)
