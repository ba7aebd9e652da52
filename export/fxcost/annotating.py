"""``fxcost annotate``: what the operators of a torch.profiler trace cost, matched to a captured program.

An event of the trace is a node when operator and input shapes and types are the same; of several such nodes the first
event is the first of them, and so on, over and over. Where they do not cost the same, their number must divide that of
the events, or else none of them is matched. Events inside a matched one are part of it.
"""

from __future__ import annotations

import gzip
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from .binding import Analysis, Program
from .errors import FxcostError

_OPERATORS = {"cpu_op", "Operator"}
_DEVICE_WORK = {"kernel", "gpu_memcpy", "gpu_memset"}
_SLACK = 0.002  # microseconds: times are doubles of which the fraction has three digits
_TYPES = {
    "float": "f32",
    "double": "f64",
    "c10::Half": "f16",
    "c10::BFloat16": "bf16",
    "long int": "i64",
    "long": "i64",
}
_TYPES |= {"int": "i32", "short int": "i16", "signed char": "i8", "unsigned char": "u8", "bool": "b8"}
_TYPES |= {"c10::complex<float>": "c64", "c10::complex<double>": "c128"}

Key = tuple[str, Any, Any]


@dataclass
class _Event:
    """An operator that ran, and what ran inside it."""

    raw: dict[str, Any]
    start: float
    microseconds: float
    inside: list[_Event] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.raw["name"])


@dataclass(frozen=True)
class Annotated:
    """How much of a trace was matched: operator events, and microseconds of the outermost of them."""

    trace: dict[str, Any]
    matched: int
    events: int
    matched_microseconds: float
    microseconds: float
    nodes: int
    nodes_seen: int
    unmatched: dict[str, tuple[int, float]]  # operator: events, microseconds
    operators: dict[str, dict[str, float]]  # sums over matched events

    @property
    def share(self) -> float:
        return self.matched / self.events

    @property
    def share_of_time(self) -> float:
        return self.matched_microseconds / self.microseconds if self.microseconds else math.nan

    def save(self, path: str | Path) -> None:
        """Writes the trace with what was found; compressed where the name ends with .gz."""
        data = json.dumps(self.trace).encode()
        Path(path).write_bytes(gzip.compress(data) if str(path).endswith(".gz") else data)

    def __str__(self) -> str:
        lines = [
            f"{self.matched} of {self.events} operator events matched ({100 * self.share:.1f} %), "
            f"{100 * self.share_of_time:.1f} % of {self.microseconds / 1e3:.3f} ms",
            f"{self.nodes_seen} of {self.nodes} nodes of the program seen",
            "",
            f"{'operator':<40} {'events':>7} {'ms':>10} {'FLOPs':>14} {'bytes':>14} {'GFLOP/s':>9} {'GB/s':>8}",
        ]
        for name, sums in sorted(self.operators.items(), key=lambda item: -item[1]["microseconds"]):
            rates = [
                sums[what] / sums["microseconds"] / 1e3 if sums["microseconds"] else 0 for what in ("flops", "bytes")
            ]
            lines.append(
                f"{name:<40} {sums['events']:>7.0f} {sums['microseconds'] / 1e3:>10.3f} {sums['flops']:>14,.0f} "
                f"{sums['bytes']:>14,.0f} {rates[0]:>9.2f} {rates[1]:>8.2f}"
            )
        if self.unmatched:
            worst = sorted(self.unmatched.items(), key=lambda item: -item[1][1])
            texts = [f"{name} ({count}, {time / 1e3:.3f} ms)" for name, (count, time) in worst[:8]]
            more = f" and {len(worst) - 8} more" if len(worst) > 8 else ""
            lines += ["", f"not matched: {', '.join(texts)}{more}"]
        return "\n".join(lines) + "\n"


def annotate(trace: str | Path, program: Program, device: str | None = None) -> Annotated:
    """Matches a trace of ``prof.export_chrome_trace`` (made with ``record_shapes=True``) to a program.

    Every matched event gets FLOPs, bytes, node and module under ``args.fxcost``, the rates at which it ran, and with a
    device the predicted time and its bound. Raises FxcostError for files that hold no operators.
    """
    path = Path(trace)
    data = _read(path)
    roots = _nested(path, data["traceEvents"])
    rows = Analysis(program, **({"device": device} if device else {})).report("node")["rows"]
    shaped = any("Input Dims" in event.raw.get("args", {}) for event in _all(roots))
    nodes: dict[Key, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["calls"] > 0:
            for key in _keys_of_node(row, shaped):
                nodes[key].append(row)
    found, left = _matched(roots, nodes, shaped)
    device_time = _device_times(data["traceEvents"])
    for event, row in found:
        event.raw.setdefault("args", {})["fxcost"] = _note(event, row, device_time, device is not None)
    unmatched: dict[str, tuple[int, float]] = {}
    for event in left:
        count, time = unmatched.get(event.name, (0, 0.0))
        unmatched[event.name] = count + 1, time + event.microseconds
    return Annotated(
        trace=data,
        matched=len(found),
        events=len(found) + len(left),
        matched_microseconds=sum(event.microseconds for event, _ in found),
        microseconds=sum(event.microseconds for event in roots),
        nodes=len(rows),
        nodes_seen=len({row["name"] for _, row in found}),
        unmatched=unmatched,
        operators=_by_operator(found),
    )


# ---- the file -------------------------------------------------------------------------------------------------------


def _refused(path: Path, expected: str, found: str) -> FxcostError:
    return FxcostError(f"{path}\n  expected: {expected}\n  found: {found}", status="PROGRAM")


def _read(path: Path) -> dict[str, Any]:
    expected = "a trace of torch.profiler: JSON as prof.export_chrome_trace writes it"
    try:
        raw = path.read_bytes()
        data = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
    except OSError as error:
        raise FxcostError(f"{path}\n  expected: {expected}\n  found: {error.strerror}", status="IO") from error
    except (ValueError, EOFError, RecursionError, gzip.zlib.error) as error:  # type: ignore[attr-defined]
        raise _refused(path, expected, f"no JSON: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get("traceEvents"), list):
        raise _refused(path, expected, "JSON without a list of traceEvents")
    return data


def _nested(path: Path, events: list[Any]) -> list[_Event]:
    """Operator events by thread, each in the one that was running, the outermost in the order of time."""
    threads: dict[Any, list[_Event]] = defaultdict(list)
    for event in events:
        if not isinstance(event, dict) or event.get("cat") not in _OPERATORS or event.get("ph") != "X":
            continue
        start, duration, args = event.get("ts"), event.get("dur"), event.get("args", {})
        if not _is_time(start) or not _is_time(duration) or duration < 0 or not isinstance(args, dict):
            raise _refused(path, "operator events with times and args", f"{str(event)[:200]}")
        threads[event.get("pid"), event.get("tid")].append(_Event(event, start, duration))
    if not threads:
        raise _refused(
            path, "operator events (ProfilerActivity.CPU)", f"{len(events)} events, none of the category cpu_op"
        )
    roots: list[_Event] = []
    for thread in threads.values():
        open_events: list[_Event] = []
        for event in sorted(thread, key=lambda event: (event.start, -event.microseconds)):
            while open_events and not _holds(open_events[-1], event):
                open_events.pop()
            (open_events[-1].inside if open_events else roots).append(event)
            open_events.append(event)
    return sorted(roots, key=lambda event: event.start)


def _holds(outer: _Event, event: _Event) -> bool:
    return event.start < _end(outer) and _end(event) <= _end(outer) + _SLACK


def _is_time(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _end(event: _Event) -> float:
    return event.start + event.microseconds


def _all(events: list[_Event]) -> Iterator[_Event]:
    for event in events:
        yield event
        yield from _all(event.inside)


def _device_times(events: list[Any]) -> Counter[Any]:
    """Microseconds of what each operator started on a device, by its External id."""
    times: Counter[Any] = Counter()
    for event in events:
        if isinstance(event, dict) and event.get("cat") in _DEVICE_WORK and _is_time(event.get("dur")):
            times[(event.get("args") or {}).get("External id")] += event["dur"]
    return times


# ---- matching -------------------------------------------------------------------------------------------------------


def _sizes(dims: Any) -> Iterator[tuple[int, ...]]:
    """Sizes of the tensors among an operator's inputs, those in lists too; numbers and scalars have none."""
    if not isinstance(dims, list) or not dims:
        return
    if all(isinstance(size, int) for size in dims):
        yield tuple(dims)
        return
    for item in dims:
        yield from _sizes(item)


def _key_of_event(event: _Event, shaped: bool) -> Key:
    args = event.raw.get("args", {})
    if not shaped:
        return event.name, None, None
    dims = args.get("Input Dims", [])
    kinds = args.get("Input type", [])
    types = [_TYPES.get(kind) for kind, sizes in zip(kinds, dims, strict=False) if sizes and list(_sizes(sizes))]
    return event.name, tuple(_sizes(dims)), None if None in types else tuple(types)


def _keys_of_node(row: dict[str, Any], shaped: bool) -> Iterator[Key]:
    """With types, and without for events that do not say them."""
    namespace, _, rest = row["op"].partition(".")
    name = f"{namespace}::{rest.partition('.')[0]}"
    if not shaped:
        yield name, None, None
        return
    inputs = [given for given in row["inputs"] if given["sizes"]]
    sizes = tuple(tuple(given["sizes"]) for given in inputs)
    yield name, sizes, tuple(given["dtype"] for given in inputs)
    yield name, sizes, None


def _cost(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["flops"], row["bytes_read"], row["bytes_written"], row["coverage"]


def _matched(
    roots: list[_Event], nodes: dict[Key, list[dict[str, Any]]], shaped: bool
) -> tuple[list[tuple[_Event, dict[str, Any]]], list[_Event]]:
    """Events with their nodes, and events with neither a node nor one inside them."""
    refused: set[Key] = set()
    while True:
        groups: dict[Key, list[_Event]] = defaultdict(list)
        left: list[_Event] = []
        for root in roots:
            _visit(root, nodes, refused, shaped, groups, left)
        doubtful = {
            key
            for key, events in groups.items()
            if len(events) % len(nodes[key]) != 0 and (not shaped or len({_cost(row) for row in nodes[key]}) > 1)
        }
        if not doubtful:
            break
        refused |= doubtful  # and look inside these events
    pairs = [
        (event, nodes[key][i % len(nodes[key])]) for key, events in groups.items() for i, event in enumerate(events)
    ]
    return sorted(pairs, key=lambda pair: pair[0].start), left


def _visit(
    event: _Event,
    nodes: dict[Key, list[dict[str, Any]]],
    refused: set[Key],
    shaped: bool,
    groups: dict[Key, list[_Event]],
    left: list[_Event],
) -> bool:
    """Whether the event, or one inside it, is matched."""
    key = _key_of_event(event, shaped)
    if key in nodes and key not in refused:
        groups[key].append(event)
        return True
    mine: list[_Event] = []
    found = [_visit(inner, nodes, refused, shaped, groups, mine) for inner in event.inside]
    if any(found):
        left.extend(mine)
    else:
        left.append(event)
    return any(found)


# ---- what is said ---------------------------------------------------------------------------------------------------


def _note(event: _Event, row: dict[str, Any], device_time: Counter[Any], predicted: bool) -> dict[str, Any]:
    runs = row["calls"]
    counts = {what: row[what] / runs for what in ("flops", "transcendentals", "bytes_read", "bytes_written")}
    counts = {what: int(count) if count == int(count) else count for what, count in counts.items()}
    bytes_moved = counts["bytes_read"] + counts["bytes_written"]
    note: dict[str, Any] = {"node": row["name"], "module": row["module"], **counts}
    if row["coverage"] == "unknown":
        note |= {"flops": None, "transcendentals": None}
    on_device = sum(device_time[inner.raw.get("args", {}).get("External id")] for inner in _all([event]))
    microseconds = on_device or event.microseconds
    if microseconds > 0:
        note["gflops_per_second"] = None if note["flops"] is None else note["flops"] / microseconds / 1e3
        note["gbytes_per_second"] = bytes_moved / microseconds / 1e3
    if bytes_moved > 0 and note["flops"] is not None:
        note["intensity"] = note["flops"] / bytes_moved
    if on_device:
        note["device_us"] = on_device
    if predicted and row["seconds"] is not None:
        note |= {"bound": row["bound"], "predicted_us": 1e6 * row["seconds"] / runs, "time_source": row["time_source"]}
    return note


def _by_operator(found: list[tuple[_Event, dict[str, Any]]]) -> dict[str, dict[str, float]]:
    operators: dict[str, dict[str, float]] = {}
    for event, _ in found:
        note = event.raw["args"]["fxcost"]
        sums = operators.setdefault(event.name, dict.fromkeys(("events", "microseconds", "flops", "bytes"), 0.0))
        sums["events"] += 1
        sums["microseconds"] += note.get("device_us", event.microseconds)
        sums["flops"] += note["flops"] or 0
        sums["bytes"] += note["bytes_read"] + note["bytes_written"]
    return operators


def run(trace: str, program: Program, device: str | None, output: str) -> None:
    """The command: prints what was matched, and writes the trace where one is asked for ("-": nowhere)."""
    found = annotate(trace, program, device)
    if output != "-":
        if Path(output).resolve() == Path(trace).resolve():
            raise FxcostError(
                f"{output}\n  expected: another file than the trace itself\n  found: the same", status="USAGE"
            )
        found.save(output)
    print(found, end="")
