"""What autograd keeps for a backward pass, as its own hooks are told."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import torch


@contextlib.contextmanager
def saved_storages(own: Iterable[torch.Tensor]) -> Iterator[dict[int, int]]:
    """Bytes of every storage that is saved for backward inside the block, by its address, beside those of ``own``."""
    apart = {tensor.untyped_storage().data_ptr() for tensor in own}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in apart:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield kept
