"""Models whose times under torch.compile are predicted and measured, with random weights: name -> function that returns
(module, inputs). Both lists were written down before a timing model of compiled kernels was.
"""

from __future__ import annotations

from cpu_models import RESNET18, Builder, text, vision

_SIZES = {"num_hidden_layers": 4, "vocab_size": 8000}
_LLAMA = {"hidden_size": 768, "intermediate_size": 2048, "num_attention_heads": 12, "num_key_value_heads": 4}

# Whole models: bench/checks/cpu_compiled.py.
WHOLE: dict[str, Builder] = {
    "bert": text("bert", **_SIZES),
    "gpt2": text("gpt2", n_layer=4, vocab_size=8000),
    "llama": text("llama", **_SIZES, **_LLAMA),
    "vit": vision("vit", num_hidden_layers=4),
    "resnet": vision("resnet"),
    "convnext": vision("convnext", depths=[2, 2, 2, 2]),
}

# Their kernels one by one: compiler_runtimes of bench/checks/compiler.py.
KERNELS: dict[str, Builder] = {
    **{name: WHOLE[name] for name in ("bert", "gpt2", "llama", "vit")},
    "resnet18": vision("resnet", **RESNET18),
    "mobilenet": vision("mobilenet_v2"),
}
