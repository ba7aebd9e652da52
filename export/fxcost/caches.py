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
    registered: set[type] = set()
    with contextlib.suppress(ImportError):  # an older transformers: torch's own message will name the class
        registered = _register(model)
    try:
        yield
    finally:
        for cls in registered:
            with contextlib.suppress(Exception):
                pytree._deregister_pytree_node(cls)


def _register(model: torch.nn.Module) -> set[type]:
    if "transformers" not in sys.modules:
        return set()
    from transformers import PreTrainedModel

    parts = {type(part): part for part in model.modules() if isinstance(part, PreTrainedModel)}
    if not any(getattr(part.config, "use_cache", False) for part in parts.values()):
        return set()
    # Importing registers classes for good; only what the calls below add is taken back.
    from transformers.exporters.exporter_dynamo import register_cache_pytrees_for_model

    before = set(pytree.SUPPORTED_NODES)
    for part in parts.values():
        register_cache_pytrees_for_model(part)
    return set(pytree.SUPPORTED_NODES) - before
