"""What ran in all, of a program."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..enums import enum

if TYPE_CHECKING:
    from ..binding import Program


@dataclass(frozen=True)
class Totals:
    """The work of everything in a recording, under fxcost's own convention (docs/counting.md)."""

    matrix_flops: int  # of matrix products, convolutions and attention, 2 a multiply-add
    vector_flops: int  # of everything else
    macs: int
    transcendentals: int
    int_ops: int
    phases: dict[str, int]  # FLOPs by part of a training step
    unknown: dict[str, int] = field(default_factory=dict)  # operators without a formula, which are in no total

    @property
    def flops(self) -> int:
        return self.matrix_flops + self.vector_flops


def totals_of(program: Program) -> Totals:
    from ..binding import Analysis

    analysis = Analysis(program)
    found = analysis.totals()
    counts = found.counts
    listed = analysis.report("module")["unknown"] if found.unknown_nodes else []
    return Totals(
        matrix_flops=counts.matrix_flops,
        vector_flops=counts.vector_flops,
        macs=counts.macs,
        transcendentals=counts.transcendentals,
        int_ops=counts.int_ops,
        phases=dict(zip(enum("phase"), found.phase_flops, strict=True)),
        unknown={entry["op"]: entry["nodes"] for entry in listed},
    )
