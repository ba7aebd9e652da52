"""Whether the rows of a report add up: by node, operator, module, class and depth, in every column."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from fxcost.binding import Analysis

Rows = list[dict[str, Any]]
NOT_SUMS = ("seconds", "peak_seconds", "peak_bytes")  # compared below; a maximum over time


def _table(analysis: Analysis, by: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(analysis.render(format="json", by=by))
    for entry in (found["totals"], *found["rows"]):
        for metric, numbers in entry.pop("metrics", {}).items():
            entry.update({f"{metric}.{name}": number for name, number in numbers.items()})
    return found


def _summed(rows: Iterable[dict[str, Any]], columns: Iterable[str]) -> Counter[str]:
    rows = list(rows)
    return Counter({column: sum(row[column] for row in rows) for column in columns})


def _modules_within(nodes: Rows, columns: list[str]) -> dict[str, Counter[str]]:
    """Per module what its nodes and those of its children add up to."""
    sums: dict[str, Counter[str]] = {}
    for node in nodes:
        parts = node["module"].split(".") if node["module"] else []
        for depth in range(len(parts) + 1):
            inside = sums.setdefault(".".join(parts[:depth]), Counter())
            for column in columns:
                inside[column] += node[column]
    return sums


def disagreements(analysis: Analysis) -> tuple[list[str], list[str]]:
    """The columns that were compared, and a line for each sum that is another."""
    tables = {by: _table(analysis, by) for by in ("node", "op", "op_shape", "class", "module", "module_op")}
    totals, nodes = tables["node"]["totals"], tables["node"]["rows"]
    if "tool" in tables["node"]:
        totals["tool"], totals["tool_macs"] = tables["node"]["tool"]["count"], tables["node"]["tool"]["macs"]
    columns = [
        name
        for name, value in totals.items()
        if name not in NOT_SUMS and value is not None and nodes and name in nodes[0]
    ]
    expected = Counter({column: totals[column] for column in columns})
    wrong = []

    def compare(what: str, found: Counter[str], wanted: Counter[str]) -> None:
        wrong.extend(f"{what}: {c} {found[c]}, not {wanted[c]}" for c in columns if found[c] != wanted[c])

    for by in ("node", "op", "op_shape", "class"):
        compare(by, _summed(tables[by]["rows"], columns), expected)
    within = _modules_within(nodes, columns)
    cells: dict[str, Rows] = {}
    for cell in tables["module_op"]["rows"]:
        cells.setdefault(cell["name"], []).append(cell)
    for row in tables["module"]["rows"]:
        name = row["name"]
        compare(f"module {name}", _summed([row], columns), within.get(name, Counter()))
        compare(f"operators of module {name}", _summed(cells.get(name, []), columns), _summed([row], columns))
    own = sum(row["self_flops"] for row in tables["module"]["rows"])
    if own != totals["flops"]:
        wrong.append(f"modules themselves: flops {own}, not {totals['flops']}")
    for row in _table(analysis, "caller")["rows"]:
        # The optimiser's step belongs to no call. A node whose graph another node runs has that one's callers.
        inside = [node for node in nodes if row["name"] in ("", *node.get("callers", []))]
        if all(node.get("callers") or row["name"] == "" for node in nodes):
            compare(f"calls of module {row['name']}", _summed([row], columns), _summed(inside, columns))
    compare("whole model", _summed(tables["module"]["rows"][:1], columns), expected)
    for name in ("seconds", "peak_seconds"):
        seconds = totals.get(name)
        for by in ("node", "op") if seconds is not None else ():
            found = sum(row[name] or 0 for row in tables[by]["rows"])
            if abs(found - seconds) > 1e-9 * abs(seconds):
                wrong.append(f"{by}: {name} {found}, not {seconds}")
    return columns, wrong
