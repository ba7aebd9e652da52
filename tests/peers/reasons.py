"""Cells of the matrix that differ, each with what makes them differ. A reason that no longer holds fails the test."""

from __future__ import annotations

_MASKS = (
    "transformers makes its masks and positions by other small operators while a model is exported than when it runs"
)
_SIZES = "arithmetic on sizes is traced as operators, and each product of two sizes counts as one"
_SHAPE_CHECKS = (
    "Python's comparisons of sizes count one each (torch._assert of the model); the captured program has none"
)
_WRAPPED = (
    "torch.fx.wrap hides the function that holds the window attention from the tracer; it runs as one unknown node"
)
_UNTRACEABLE = "torch.fx.symbolic_trace cannot trace the model, as the tool's README says"
_NO_WEIGHTS = (
    "the fused kernel of nn.MultiheadAttention returns no weights when it is not asked to, which the tool trips over"
)

REASONS: dict[tuple[str, str], str] = {
    ("torch_profiler", "BERT"): _MASKS,
    ("torch_profiler", "BERT, eager attention"): _MASKS,
    ("torch_profiler", "GPT-2"): _MASKS,
    ("torchprofile", "Swin"): _SIZES,
    ("torchprofile", "Llama"): _SIZES,
    ("torchprofile", "ViT-B/16"): _NO_WEIGHTS,
    ("torch_flops", "Swin"): _WRAPPED,
    ("torch_flops", "ViT-B/16"): _SHAPE_CHECKS,
    ("torch_flops", "BERT"): _UNTRACEABLE,
    ("torch_flops", "BERT, eager attention"): _UNTRACEABLE,
    ("torch_flops", "GPT-2"): _UNTRACEABLE,
    ("torch_flops", "Llama"): _UNTRACEABLE,
}


def reason_for(peer: str, program: str) -> str:
    """Why a cell differs; "" when nothing is known."""
    return REASONS.get((peer, program), "")
