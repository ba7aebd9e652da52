"""Options of a model argument, as the command line gives them."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch

from .dynamic import words_of
from .errors import usage


@dataclass
class Options:
    """Sizes and settings for models that are built on request; None leaves the model's own default."""

    batch: int | None = None
    seq: int | None = None
    image: int | tuple[int, int] | None = None
    dtype: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    dynamic: list[str] = field(default_factory=list)
    fx: bool = False  # no example inputs are wanted
    inputs: list[str] = field(default_factory=list)  # NAME=f32[1,3,224,224]
    architecture: str | None = None  # model argument of the class that a checkpoint file is for
    trust_pickle: bool = False  # a checkpoint file may run code
    real: bool = False  # weights and inputs with memory, to run on

    def __post_init__(self) -> None:
        if self.batch is None and "batch" in words_of(self.dynamic):
            self.batch = 2  # torch.export takes a size of 1 for a constant


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """``key=value`` texts; values are Python literals, true, false and null, or plain strings."""
    settings: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise usage(f"--set {text}: expected key=value", "--set num_hidden_layers=2")
        settings[key] = _value(value)
    return settings


def _value(text: str) -> Any:
    words = {"true": True, "false": False, "null": None, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def parse_call(text: str) -> tuple[str, dict[str, Any]]:
    """``generate`` or ``generate(max_new_tokens=16, do_sample=False)``: a method's name and keyword arguments."""
    wrong = usage(f"--method {text}: expected a method's name", "--method 'generate(max_new_tokens=16)'")
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if isinstance(call, ast.Name):
            return call.id, {}
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            raise wrong
        return call.func.id, {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
    except (SyntaxError, ValueError):
        raise wrong from None


def dtype_named(name: str | None) -> torch.dtype | None:
    """A dtype by torch's name or its short form: bfloat16, bf16, fp16, f32."""
    if name is None:
        return None
    from torch.utils._dtype_abbrs import dtype_abbrs

    short = {text: dtype for dtype, text in dtype_abbrs.items()}
    short |= {"fp32": torch.float32, "fp16": torch.float16, "half": torch.float16, "float": torch.float32}
    found = short.get(name, getattr(torch, name, None))
    if not isinstance(found, torch.dtype):
        raise usage(f"unknown dtype {name!r}", "float32, bfloat16, float16, float64")
    return found
