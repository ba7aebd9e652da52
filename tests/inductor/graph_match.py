"""Which node of one graph is which of another: by what they compute, from what, and for whom.

    matched(ours, our_graph, theirs, their_graph) -> {node of ours: node of theirs}

The same model reaches a compiler by several routes, which order and name nodes in their own ways. Two nodes are paired
when everything before them and everything behind them is alike; where the graphs differ, one of both suffices if it
points at a single pair, and what is left is paired from its paired neighbours. A node without a counterpart is left
out.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "python"))
from fxir_reader import Fxir  # noqa: E402

from fxcost.columns import NONE  # noqa: E402

Slot = tuple[Any, ...]


class _Side:
    """A graph: ``label`` of a node is its operator and constants, ``reads`` its (argument, node or input) pairs,
    ``users`` the (argument, node) pairs that read it, or (place among the results, None)."""

    def __init__(self, program: Fxir, graph: int) -> None:
        self.program = program
        self.nodes = list(range(program.graph_node_begin[graph], program.graph_node_begin[graph + 1]))
        self.label: dict[int, str] = {}
        self.reads: dict[int, list[tuple[Slot, Any]]] = {}
        self.users: dict[int, list[tuple[Slot, int | None]]] = defaultdict(list)
        for node in self.nodes:
            found: list[tuple[Slot, int]] = []
            constants = [_split(name, value, found) for name, value in program.args(node).items()]
            self.label[node] = f"{program.op(node)} {constants}"
            self.reads[node] = [(slot, self._source(value)) for slot, value in found]
            for slot, source in self.reads[node]:
                if isinstance(source, int):
                    self.users[source].append((slot, node))
        first, end = program.graph_output_begin[graph : graph + 2]
        for place in range(end - first):
            value = program.decode(program.output_kind[first + place], program.output_payload[first + place])
            if isinstance(value, tuple) and value[0] == "value" and isinstance(self._source(value[1]), int):
                self.users[self._source(value[1])].append((("result", place), None))

    def _source(self, value: int) -> Any:
        """The node that makes a value; of an input what its sizes are."""
        producer = int(self.program.value_producer[value])
        if producer != NONE:
            return producer
        kind = self.program.value(value)[0]
        meta = self.program.meta(value) if kind == "tensor" else {"dtype": kind, "size": []}
        return f"{meta['dtype']} {meta['size']}"

    def before(self) -> dict[int, int]:
        """A number for each node that equal nodes after equal ones have in common."""
        found: dict[Any, int] = {}
        for node in self.nodes:
            reads = [(slot, found[source] if isinstance(source, int) else source) for slot, source in self.reads[node]]
            found[node] = hash((self.label[node], tuple(reads)))
        return found

    def behind(self) -> dict[int, int]:
        """The same for nodes before equal ones."""
        found: dict[Any, int] = {}
        for node in reversed(self.nodes):
            users = sorted(hash((slot, found[user] if user is not None else None)) for slot, user in self.users[node])
            found[node] = hash((self.label[node], tuple(users)))
        return found


def _split(name: Any, value: Any, found: list[tuple[Slot, int]], path: Slot = ()) -> Any:
    """A constant argument; values in it are put into ``found`` and stand as what they are."""
    if isinstance(value, tuple) and len(value) == 2 and value[0] == "value":
        found.append(((name, *path), value[1]))
        return name, "value"
    if isinstance(value, list):
        return name, [_split(name, item, found, (*path, i)) for i, item in enumerate(value)]
    return name, value


def matched(ours: Fxir, our_graph: int, theirs: Fxir, their_graph: int) -> dict[int, int]:
    a, b = _Side(ours, our_graph), _Side(theirs, their_graph)
    pairs, back = {}, {}

    def add(new: Iterable[tuple[int, int]]) -> bool:
        for x, y in (known := list(new)):
            pairs[x], back[y] = y, x
        return bool(known)

    before, behind = (a.before(), b.before()), (a.behind(), b.behind())
    groups = _groups(a, b, pairs, back, lambda i, n: (before[i][n], behind[i][n]))
    add((x[0], y[0]) for x, y in groups if len(x) == len(y) == 1)
    for numbers in (before, behind):
        groups = _groups(a, b, pairs, back, lambda i, n, numbers=numbers: numbers[i][n])  # type: ignore[misc]
        add((x[0], y[0]) for x, y in groups if len(x) == len(y) == 1)
    while True:
        if add(_from_neighbours(a, b, pairs, back)):
            continue
        # Whichever of several that are alike is taken first, the others follow from it.
        groups = _groups(a, b, pairs, back, lambda i, n: (before[i][n], behind[i][n]))
        if not add((x[0], y[0]) for x, y in list(groups)[:1]):
            return pairs


def _groups(
    a: _Side, b: _Side, pairs: dict[int, int], back: dict[int, int], key: Callable[[int, int], Hashable]
) -> Iterator[tuple[list[int], list[int]]]:
    """Nodes of both sides that have no partner yet, by a key that both sides know; None stands for no key."""
    found: dict[Hashable, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for i, (side, done) in enumerate(((a, pairs), (b, back))):
        for node in side.nodes:
            if node not in done and (number := key(i, node)) is not None:
                found[number][i].append(node)
    yield from ((x, y) for x, y in found.values() if x and y)


def _from_neighbours(a: _Side, b: _Side, pairs: dict[int, int], back: dict[int, int]) -> list[tuple[int, int]]:
    """Pairs that follow from paired neighbours: from arguments and users, else from either."""
    theirs = {node: node for node in back}

    def neighbours(i: int, node: int, reads: bool, users: bool) -> Hashable:
        side, known = ((a, pairs), (b, theirs))[i]
        near = [known.get(s) if isinstance(s, int) else s for _, s in side.reads[node]] if reads else []
        behind = sorted((str(slot), known[u]) for slot, u in side.users[node] if u in known) if users else []
        return (
            (side.label[node], tuple(near), tuple(behind)) if behind or any(isinstance(n, int) for n in near) else None
        )

    for reads, users in ((True, True), (True, False), (False, True)):
        groups = _groups(a, b, pairs, back, lambda i, n, r=reads, u=users: neighbours(i, n, r, u))  # type: ignore[misc]
        found = [(x[0], y[0]) for x, y in groups if len(x) == len(y) == 1]
        if found:
            return found
    return []
