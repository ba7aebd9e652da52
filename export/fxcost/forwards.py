"""Explicit calls of ``forward``, which pass by a module's hooks: ``self.layer.forward(x)``, not ``self.layer(x)``.

torch sees no call there, and whoever replaced forward would be seen by code that asks for it. So the stack is read:
an operator belongs to the module whose forward is the nearest frame.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch

_FRAMES = 24  # that are looked at, from the operator outwards


class Forwards:
    """The forwards of modules. ``codes`` has the ids of their code, whose own hash is slow."""

    def __init__(self, modules: Collection[torch.nn.Module] = ()) -> None:
        self.modules = {id(module) for module in modules}
        self._of = {cls: _codes(cls) for cls in {type(module) for module in modules}}
        self.codes = frozenset().union(*self._of.values())

    def owner(self, frame: Any, innermost: torch.nn.Module | None) -> torch.nn.Module | None:
        """The module whose forward runs in this frame, which is one of ``codes``; None when it is the innermost call's
        own."""
        code = frame.f_code
        if innermost is None or id(code) in self._of.get(type(innermost), ()):
            return None
        module = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
        return module if module is not innermost and id(module) in self.modules else None

    def nearest(self, frame: Any, innermost: torch.nn.Module | None) -> torch.nn.Module | None:
        """The same of the nearest such frame, from this one outwards."""
        for _ in range(_FRAMES):
            if frame is None:
                return None
            if id(frame.f_code) in self.codes:
                return self.owner(frame, innermost)
            frame = frame.f_back
        return None


def _codes(cls: type) -> dict[int, Any]:
    """The code of a class's forward, and of what decorators have put it into, by id."""
    found = {}
    function = getattr(cls, "forward", None)
    while function is not None:
        code = getattr(function, "__code__", None)
        if code is not None:
            found[id(code)] = code
        function = getattr(function, "__wrapped__", None)
    return found
