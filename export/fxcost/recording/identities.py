"""Which storage is which, while the tensors that have them come and go."""

from __future__ import annotations

from typing import Any

import torch

_expired = torch.UntypedStorage._expired  # type: ignore[attr-defined]
_let_go = torch.UntypedStorage._free_weak_ref  # type: ignore[attr-defined]

_YOUNG = 32  # new storages after which those are let go of that are gone
_OLD = 64  # and at least so many that outlived that


class Identities:
    """What is known of storages, by identity. A weak reference to each keeps its identity from being given to a later
    one; the memory goes when its owners go.

    What is gone is let go of soon. It is small, but it lies between the large blocks that the tensors had, and while it
    is there the allocator cannot join and reuse them: what runs would take other memory than it takes by itself, and
    more of it.
    """

    def __init__(self) -> None:
        self.known: dict[int, Any] = {}
        self._young: list[int] = []
        self._old: list[int] = []
        self._old_limit = _OLD

    def add(self, storage: torch.UntypedStorage, known: Any) -> None:
        """From now on this is what is known of a storage that is new here."""
        if len(self._young) >= _YOUNG:
            self._old += self._still_held(self._young)
            self._young.clear()
            if len(self._old) >= self._old_limit:
                self._old = self._still_held(self._old)
                self._old_limit = _OLD + 2 * len(self._old)
        identity: int = storage._weak_ref()  # type: ignore[assignment]
        self.known[identity] = known
        self._young.append(identity)

    def _still_held(self, identities: list[int]) -> list[int]:
        """Those that somebody holds; the others are let go of."""
        held = []
        for identity in identities:
            if _expired(identity):
                del self.known[identity]
                _let_go(identity)
            else:
                held.append(identity)
        return held

    def held(self) -> list[Any]:
        """What is known of the storages that somebody still holds."""
        return [known for identity, known in self.known.items() if not _expired(identity)]

    def free(self) -> None:
        """Lets go of all."""
        for identity in self.known:
            _let_go(identity)
        self.known.clear()
        self._young.clear()
        self._old.clear()
