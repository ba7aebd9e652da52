"""torch.profiler's table of averages by operator, of a report: ``print(key_averages(report).table(sort_by="flops"))``.

Nothing was run: times are those that a report predicts for a device, and are left out where none is named.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..errors import usage

if TYPE_CHECKING:
    from ..report import Report, Row

__all__ = ["KeyAverage", "KeyAverages", "key_averages"]

_GAP = "  "
_NARROWEST = 12
_UNITS = ("", "K", "M", "G", "T", "P", "E")


@dataclass(frozen=True)
class KeyAverage:
    """All calls of an operator. ``time_total`` is predicted, in microseconds; None where no device is named.
    ``unknown`` calls have no formula and are in no number."""

    key: str
    count: int
    flops: int
    bytes: int
    unknown: int
    time_total: float | None

    @property
    def time(self) -> float | None:
        """Microseconds of one call."""
        return self.time_total / self.count if self.time_total is not None and self.count else None


class KeyAverages(list[KeyAverage]):
    """Rows by operator, as ``profile.key_averages()`` gives them."""

    def total_average(self) -> KeyAverage:
        """The sum of all rows."""
        total = KeyAverage("Total", 0, 0, 0, 0, 0.0)
        for row in self:
            total = _joined(total, row)
        return total

    def table(
        self,
        sort_by: str | None = None,
        row_limit: int = 100,
        max_name_column_width: int = 55,
        header: str | None = None,
    ) -> str:
        """The table as text. ``sort_by`` is "flops", "count", "bytes" or, with a device, "time_total"; a name of
        torch.profiler that ends so, such as "self_cpu_time_total", is taken for it."""
        total = self.total_average()
        timed = total.time_total is not None
        unit, scale = _unit(max((row.flops for row in self), default=0), 1000)
        titles = ["Name", *(["Predicted %", "Predicted", "Time avg"] if timed else []), "# of Calls"]
        titles += [f"Total {unit}FLOPs", "Bytes"]
        cells = [
            [
                _cut(row.key, max_name_column_width),
                *(_times(row, total) if timed else []),
                str(row.count),
                _flops(row, scale),
                _bytes(row.bytes),
            ]
            for row in self._sorted(sort_by)[: row_limit if row_limit >= 0 else None]
        ]
        widths = [max(_NARROWEST, *(len(line[i]) for line in [titles, *cells])) for i in range(len(titles))]
        rule = _GAP.join("-" * width for width in widths)
        lines = [_GAP.join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
        head = _GAP.join(title.rjust(width) for title, width in zip(titles, widths, strict=True))
        above = [] if header is None else ["=" * len(rule), header]
        below = [f"Predicted time total: {_time(total.time_total)}"] if timed else []
        below += [f"{total.unknown} calls of operators without a formula are in no total"] if total.unknown else []
        return "\n".join([*above, rule, head, rule, *lines, rule, *below]) + "\n"

    def _sorted(self, sort_by: str | None) -> list[KeyAverage]:
        if sort_by is None:
            return list(self)
        column = "time_total" if sort_by.endswith("time_total") else sort_by
        if column not in ("flops", "count", "bytes", "time_total"):
            raise usage(f"sort_by={sort_by!r}", "'flops', 'count', 'bytes' or 'time_total'")
        if column == "time_total" and any(row.time_total is None for row in self):
            raise usage(
                f"sort_by={sort_by!r}: no device is named, so no time is predicted", "analyze(..., device=NAME)"
            )
        return sorted(self, key=lambda row: getattr(row, column), reverse=True)


def key_averages(report: Report) -> KeyAverages:
    """The operators of a report, overloads of one name together, most FLOPs first."""
    rows: dict[str, KeyAverage] = {}
    for name, row in report.by_op().items():
        found = _average(name, row)
        rows[found.key] = _joined(rows[found.key], found) if found.key in rows else found
    return KeyAverages(sorted(rows.values(), key=lambda row: row.flops, reverse=True))


def _average(name: str, row: Row) -> KeyAverage:
    namespace, _, rest = name.partition(".")
    key = f"{namespace}::{rest.partition('.')[0]}" if rest else name
    seconds = row.seconds
    return KeyAverage(
        key, row.calls, row.flops, row.bytes, row.unknown_nodes, None if seconds is None else seconds * 1e6
    )


def _joined(a: KeyAverage, b: KeyAverage) -> KeyAverage:
    times = None if a.time_total is None or b.time_total is None else a.time_total + b.time_total
    return replace(
        a,
        count=a.count + b.count,
        flops=a.flops + b.flops,
        bytes=a.bytes + b.bytes,
        unknown=a.unknown + b.unknown,
        time_total=times,
    )


# ---- cells ----------------------------------------------------------------------------------------------------------


def _unit(most: float, step: int) -> tuple[str, float]:
    """The prefix under which the largest number has up to three digits before the point, and what to divide by."""
    power = 0
    while most >= step and power < len(_UNITS) - 1:
        most, power = most / step, power + 1
    return _UNITS[power], float(step**power)


def _flops(row: KeyAverage, scale: float) -> str:
    if row.unknown:
        return "unknown"
    return f"{row.flops / scale:.3f}" if row.flops else "--"


def _bytes(size: int) -> str:
    unit, scale = _unit(size, 1024)
    return f"{size / scale:.2f} {unit}B" if unit else f"{size} B"


def _times(row: KeyAverage, total: KeyAverage) -> list[str]:
    assert row.time_total is not None and total.time_total is not None
    share = 100 * row.time_total / total.time_total if total.time_total else 0.0
    return [f"{share:.2f}%", _time(row.time_total), _time(row.time)]


def _time(microseconds: float | None) -> str:
    if microseconds is None:
        return "--"
    for unit, scale in (("s", 1e6), ("ms", 1e3)):
        if microseconds >= scale:
            return f"{microseconds / scale:.3f}{unit}"
    return f"{microseconds:.3f}us"


def _cut(name: str, width: int) -> str:
    return name if width < 0 or len(name) <= width else name[: max(width - 3, 0)] + "..."
