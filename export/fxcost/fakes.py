"""A model and its inputs as fake tensors, which have everything of a tensor but its numbers."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

import torch
from torch._guards import detect_fake_mode
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode


def mode_of(model: torch.nn.Module) -> FakeTensorMode:
    """The mode that the model was built in, or a new one. Constants that a module keeps as attributes stay real."""
    tensors = [*model.parameters(), *model.buffers()]
    return detect_fake_mode([t for t in tensors if isinstance(t, FakeTensor)]) or FakeTensorMode(
        allow_non_fake_inputs=True
    )


def modes_shared() -> AbstractContextManager[Any]:
    """Fake tensors that are deep-copied meanwhile keep their mode. torch would copy it with its weak references to
    storages and not count the copies, so that these storages are freed while tensors still use them."""
    return mock.patch.object(FakeTensorMode, "__deepcopy__", lambda mode, memo: mode, create=True)


def make_fake(model: torch.nn.Module, mode: FakeTensorMode) -> None:
    """Fake parameters and buffers, without gradients of an earlier step. The caller puts the real ones back
    (guard.unchanged)."""
    for module in model.modules():
        registries: tuple[dict[str, Any], ...] = module._parameters, module._buffers
        for registry in registries:
            for name, tensor in registry.items():
                if tensor is not None and not isinstance(tensor, FakeTensor):
                    registry[name] = mode.from_tensor(tensor)
    for parameter in model.parameters():
        parameter.grad = None
