"""What is known only at the moment when a recording ends: modules and their attributes, what the model's tensors are,
which storages somebody still holds. Noted then, so that the program can be written later, or never, whatever becomes of
the model meanwhile. No tensor is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from ..distributed import local
from ..modules import named_modules
from ..params import named_tensors
from .tape import Ref, Tape

Tensors = dict[str, tuple[str, torch.Tensor, bool]]  # role, tensor, persistence by name


class Held(NamedTuple):
    """A parameter or a buffer."""

    role: str
    ref: Ref
    persistent: bool
    requires_grad: bool


@dataclass(frozen=True)
class Ending:
    alive: list[bool]  # by storage
    modules: list[tuple[str, torch.nn.Module, dict[str, Any]]] = field(default_factory=list)  # names, attributes
    tensors: dict[str, Held] = field(default_factory=dict)  # of the model
    inputs: dict[int, str] = field(default_factory=dict)  # names that the caller knows, by storage


def note(tape: Tape, model: torch.nn.Module | None, tensors: Tensors | None, inputs: dict[str, torch.Tensor]) -> Ending:
    """``tensors``: those of the model, where it holds others at the end than it began with."""
    alive = tape.alive()
    named = named_modules(model) if model is not None else []
    names: dict[int, str] = {}
    for name, tensor in inputs.items():
        storage = tape.storage_row(local(tensor))
        if storage is not None:
            names.setdefault(storage, name)
    held = {
        name: Held(role, tape.described(tensor), persistent, tensor.requires_grad)
        for name, (role, tensor, persistent) in (tensors or named_tensors(named)).items()
    }
    return Ending(alive, [(path, module, vars(module).copy()) for path, module in named], held, names)
