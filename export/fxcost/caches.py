"""Key-value caches of transformers as pytrees, for as long as a capture takes: torch.export knows no other classes."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import torch
from torch.utils import _pytree as pytree


@contextlib.contextmanager
def caches_known(model: torch.nn.Module) -> Iterator[None]:
    """Registers the cache classes that a transformers model may take or return, and takes the registrations back."""
    before = set(pytree.SUPPORTED_NODES)
    with contextlib.suppress(ImportError):  # an older transformers: torch's own message will name the class
        _register(model)
    try:
        yield
    finally:
        for cls in set(pytree.SUPPORTED_NODES) - before:
            with contextlib.suppress(Exception):
                pytree._deregister_pytree_node(cls)


def _register(model: torch.nn.Module) -> None:
    if "transformers" not in sys.modules:
        return
    from transformers import PreTrainedModel

    parts = [part for part in model.modules() if isinstance(part, PreTrainedModel)]
    if not any(getattr(part.config, "use_cache", False) for part in parts):
        return
    from transformers.exporters.exporter_dynamo import register_cache_pytrees_for_model

    for cls in {type(part): part for part in parts}.values():
        register_cache_pytrees_for_model(cls)
