"""Which storage is which, while the tensors that have them come and go."""

from __future__ import annotations

import torch

_expired = torch.UntypedStorage._expired  # type: ignore[attr-defined]
_let_go = torch.UntypedStorage._free_weak_ref  # type: ignore[attr-defined]

# What is gone is let go of after so many new results of operators: at least four, or an eighth of those held,
_LEAST, _PART = 4, 8
_OUTSIDE = 64  # and of those from outside after so many of them, or twice those held


class Identities:
    """Rows of storages, by identity. A weak reference to each keeps its identity from being given to a later one; the
    memory goes when its owners go.

    What is gone is let go of soon. It is small, but it lies between the large blocks that the tensors had, and while it
    is there the allocator cannot join and reuse them: what runs would take other memory than it takes by itself, and
    more of it. Storages from outside (parameters, inputs) mostly stay, and are looked through apart, seldom.
    """

    def __init__(self) -> None:
        self.rows: dict[int, int] = {}
        self._made: list[int] = []
        self._outside: list[int] = []
        self._made_limit, self._outside_limit = _LEAST, _OUTSIDE

    def add(self, storage: torch.UntypedStorage, row: int, made: bool) -> None:
        """From now on this storage, which is new here, has this row. ``made``: by an operator, just now."""
        identity: int = storage._weak_ref()  # type: ignore[assignment]
        self.rows[identity] = row
        if made:
            if len(self._made) >= self._made_limit:
                self._release(self._made)
                self._made_limit = len(self._made) + max(_LEAST, len(self._made) // _PART)
            self._made.append(identity)
        else:
            if len(self._outside) >= self._outside_limit:
                self._release(self._outside)
                self._outside_limit = _OUTSIDE + 2 * len(self._outside)
            self._outside.append(identity)

    def _release(self, identities: list[int]) -> None:
        """Lets go of those that nobody holds."""
        if not any(map(_expired, identities)):
            return
        held = []
        for identity in identities:
            if _expired(identity):
                del self.rows[identity]
                _let_go(identity)
            else:
                held.append(identity)
        identities[:] = held

    def alive(self, count: int) -> list[bool]:
        """Whether anybody still holds a storage, by row; ``count`` rows."""
        alive = [False] * count
        for identity, row in self.rows.items():
            if not _expired(identity):
                alive[row] = True
        return alive

    def free(self) -> None:
        """Lets go of all."""
        for identity in self.rows:
            _let_go(identity)
        self.rows.clear()
        self._made.clear()
        self._outside.clear()
