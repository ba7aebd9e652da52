"""A place for fusion decisions inside Inductor: a subclass of its choices that decides as Inductor does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from .hooks import cache_key, seam, setting

_PURPOSE = "fusion decisions"


def choices_class() -> Any:
    """A subclass of ``InductorChoices`` with a key for torch's caches, which decides as torch does: to derive from, by
    overriding ``can_fuse``, ``can_fuse_vertical``, ``can_fuse_horizontal`` or ``score_fusion`` and ``uuid``."""
    base: Any = seam("torch._inductor.choices", "InductorChoices", _PURPOSE)

    class Choices(base):  # type: ignore[misc]
        def uuid(self) -> str:
            return cache_key("neutral choices")

    return Choices


@contextlib.contextmanager
def fusion_choices(choices: Any) -> Iterator[None]:
    """What Inductor compiles meanwhile in this thread is decided by ``choices``, a class. Torch reads the setting for
    the keys of its caches, and asks the handler, which a thread makes once."""
    config = setting("torch._inductor.config", "inductor_choices_class", _PURPOSE)
    virtual: Any = seam("torch._inductor.virtualized", "V", _PURPOSE)
    with config.patch(inductor_choices_class=choices), virtual.set_choices_handler(choices()):
        yield
