"""Stretches of the run that leave no node of their own: checkpoints, and calls of Python functions by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .args import Arguments
from .columns import NONE, Columns
from .enums import enum
from .functions import Seen

# Key of a node's chain of regions in its meta.
REGION = "fxcost_region"


@dataclass(slots=True, eq=False)
class Region:
    """A region's kind, and what is known of it."""

    kind: str
    config: dict[str, Any] | Seen

    def entries(self) -> list[Any]:
        """Keys and values in turn."""
        if isinstance(self.config, Seen):
            seen = self.config
            known: dict[str, Any] = {"name": seen.name, "by_name": seen.by_name, "intercepted": seen.intercepted}
            known |= {"keywords": list(seen.keywords)} if seen.keywords else {}
        else:
            known = self.config
        return [part for pair in known.items() for part in pair]


class Regions:
    """Region rows: the watch marks nodes with the chain of regions they lie in, outermost first."""

    def __init__(self, columns: Columns, arguments: Arguments) -> None:
        self._columns, self._arguments = columns, arguments
        self._rows: dict[int, int] = {}

    def place(self, chain: tuple[Region, ...] | None) -> None:
        """Where the node that was added last lies."""
        rows = self._columns.rows["node_region"]
        if chain is None:
            if rows:
                rows.append(NONE)
            return
        missing = len(self._columns.rows["node_op"]) - 1 - len(rows)
        rows.extend([NONE] * missing)
        rows.append(self._row(chain))

    def _row(self, chain: tuple[Region, ...]) -> int:
        parent = NONE
        for region in chain:
            row = self._rows.get(id(region))
            if row is None:
                entries = [self._arguments.encode(entry) for entry in region.entries()]
                row = self._rows[id(region)] = self._columns.add(
                    "region",
                    kind=enum("region_kind")[region.kind],
                    parent=parent,
                    config=self._columns.list_row(entries),
                )
            parent = row
        return parent
