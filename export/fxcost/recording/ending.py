"""What is known only at the moment when a recording ends: modules and their attributes, what the model's tensors are,
which storages somebody still holds. Noted then, so that the program can be written later, or never, whatever becomes of
the model meanwhile. No module and no tensor is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from ..distributed import local
from ..modules import Described, class_name, described, named_modules
from ..params import named_tensors
from .events import Ref
from .tape import Tape

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
    calls: list[tuple[int, int, bool, int]] = field(default_factory=list)  # the tape's, of modules by id
    modules: list[Described] = field(default_factory=list)  # of the model
    others: list[dict[int, tuple[str, str]]] = field(default_factory=list)  # that were called, each with what is in it
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
    calls = [(id(module), parent, trains, begin) for module, parent, trains, begin in tape.calls]
    modules = described(named)
    return Ending(alive, calls, modules, _others(tape, named), held, names)


def _others(tape: Tape, named: list[tuple[str, torch.nn.Module]]) -> list[dict[int, tuple[str, str]]]:
    """Modules that were called and are no part of the model, under names by their classes: names and classes by id."""
    known, taken = {id(module) for _, module in named}, {path for path, _ in named}
    families = []
    for module, *_ in tape.calls:
        if id(module) in known:
            continue
        base = name = type(module).__name__
        count = 1
        while name in taken:
            count += 1
            name = f"{base}_{count}"
        parts = [(path, part) for path, part in module.named_modules() if id(part) not in known]
        families.append(
            {id(part): (f"{name}.{path}" if path else name, class_name(type(part))) for path, part in parts}
        )
        known.update(families[-1])
        taken.add(name)
    return families
