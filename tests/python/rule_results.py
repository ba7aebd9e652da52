"""What the shape, type and stride rules tell of recorded operator calls, and the table of it."""

from __future__ import annotations

import collections
from ctypes import POINTER, byref, c_int32, c_uint32, c_void_p
from typing import Any

from operator_calls import Calls
from shape_sources import RECORDED, RULE, ValueInfo, _get, _told

from fxcost import abi, binding

SIZES, DTYPE, STRIDES, OTHERWISE = 1, 2, 4, 8  # enum fxc_shape_told
PARTS = {"sizes": SIZES, "type": DTYPE, "strides": STRIDES}


class Node:
    """One call: how many tensors it returns, how many of those have each part by rule, what a rule contradicts."""

    __slots__ = ("contradiction", "told", "values")

    def __init__(self) -> None:
        self.values, self.told, self.contradiction = 0, dict.fromkeys(PARTS, 0), ""

    def complete(self, part: str = "sizes") -> bool:
        return self.values > 0 and self.told[part] == self.values


class Results:
    def __init__(self, data: bytes, calls: Calls) -> None:
        self.calls = calls
        program = binding.Program.from_bytes(data)
        analysis = binding.Analysis(program, shapes="listed")
        analysis.require("shapes")
        self.nodes = [Node() for _ in calls.ops]
        agrees = binding.library().fxc_analysis_value_agrees
        agrees.restype, agrees.argtypes = c_int32, [c_void_p, c_uint32, POINTER(abi.Error)]
        for value in range(program.info().values):
            info = _get("fxc_analysis_value", ValueInfo, analysis._handle, value)
            if info.source not in (RULE, RECORDED) or info.numel < 0:
                continue
            node, bits = self.nodes[info.producer], _told(analysis._handle, value)
            node.values += 1
            for part, bit in PARTS.items():
                node.told[part] += bool(bits & bit)
            if bits & OTHERWISE:
                error = abi.Error()
                agrees(analysis._handle, value, byref(error))
                node.contradiction = f"expected {error.expected.decode()}, found {error.found.decode()}"

    def overloads(self) -> dict[str, list[int]]:
        """Per overload: calls, calls with sizes, type and strides by rule, contradicted calls."""
        found: dict[str, list[int]] = collections.defaultdict(lambda: [0] * 5)
        for op, node in zip(self.calls.ops, self.nodes, strict=True):
            row = found[op]
            row[0] += 1
            for at, part in enumerate(PARTS):
                row[at + 1] += node.complete(part)
            row[4] += bool(node.contradiction)
        return found


def share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / whole if whole else 100:.2f} %)"


def without_rule(results: Results, entries: dict[str, Any]) -> dict[str, list[str]]:
    """Entries of the database all of whose samples call some operator without sizes by rule, with these operators."""
    found = {}
    for name, entry in entries.items():
        missing = [
            {results.calls.ops[n] for n in calls if results.nodes[n].values and not results.nodes[n].complete()}
            for calls in entry.samples
            if calls
        ]
        if missing and all(missing):
            found[name] = sorted(set.union(*missing))
    return found


def show_contradictions(results: Results, entries: dict[str, Any]) -> int:
    """Per operator and part, with one example and the reason; how many have none. The one reason there is: fake tensors
    say something else than real ones, as the sweep has seen, and the rule follows these."""
    found: dict[str, list[str]] = collections.defaultdict(list)
    for op, node in zip(results.calls.ops, results.nodes, strict=True):
        if node.contradiction:
            part = next(
                part
                for part in ("strides", "type", "shape")
                if f"the {part} " in node.contradiction.replace("element ", "")
            )
            found[f"{op} {'sizes' if part == 'shape' else part}"].append(node.contradiction)
    differing = {what for entry in entries.values() for what in entry.disagrees}
    for what, examples in sorted(found.items()):
        reason = "fake tensors differ from real ones" if what in differing else "no reason known"
        print(f"contradicted: {what}, {len(examples)} calls, {examples[0]}: {reason}")
    return len(found.keys() - differing)


def show(results: Results, entries: dict[str, Any], *, details: bool) -> bool:
    """Prints the tables; whether what is asked of the rules holds."""
    overloads = results.overloads()
    covered = [op for op, row in overloads.items() if row[1] > 0]
    print(f"{'calls':>7} {'sizes':>7} {'type':>7} {'strides':>7} {'against':>7}  operator")
    for op, row in sorted(overloads.items(), key=lambda item: (item[1][1] - item[1][0], -item[1][0])):
        if details or row[1:] != [row[0]] * 3 + [0]:
            print("{:>7} {:>7} {:>7} {:>7} {:>7}  {}".format(*row, op))
    print("sizes depend on data:", ", ".join(f"{op} {n}" for op, n in results.calls.unsized.most_common()))
    refused: collections.Counter[str] = collections.Counter()
    for name, entry in entries.items():
        refused.update(entry.failed)
        if entry.disagrees:
            print(f"fake and real differ in {name}: " + ", ".join(f"{w} {n}" for w, n in entry.disagrees.items()))
    unexplained = show_contradictions(results, entries)
    print("\nentries without sizes by rule:")
    for name, ops in without_rule(results, entries).items():
        print(f"  {name}: {', '.join(ops)}")
    print("entries that made no call:", ", ".join(name for name, entry in entries.items() if not any(entry.samples)))
    print("samples that torch refused:", ", ".join(f"{what} {n}" for what, n in refused.most_common()))
    samples = [calls for entry in entries.values() for calls in entry.samples if calls]
    with_rule = [calls for calls in samples if any(results.nodes[n].told["sizes"] for n in calls)]
    agreeing = sum(not any(results.nodes[n].contradiction for n in calls) for calls in with_rule)
    values = sum(node.values for node in results.nodes)
    told = {part: sum(node.told[part] for node in results.nodes) for part in PARTS}
    whole = sum(all(results.nodes[n].complete() for n in calls if results.nodes[n].values) for calls in samples)
    print()
    print(
        f"values of {len(results.nodes)} distinct calls: "
        + ", ".join(f"{p} of {share(n, values)}" for p, n in told.items())
    )
    print(f"samples all of whose calls have sizes by rule: {share(whole, len(samples))}")
    print(
        f"{len(covered)} of {len(overloads)} overloads covered, {share(agreeing, len(with_rule))} samples agree in "
        f"shape, type and strides, {len(entries)} entries"
    )
    return len(covered) >= 400 and agreeing >= 0.99 * len(with_rule) and not unexplained
