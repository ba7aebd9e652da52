"""Kernels of a fusion profile beside those that Inductor schedules.

    compare(truth's graph, program bytes, "inductor-cpu") -> Comparison

Kernels are paired by what they compute: equal member sets first, then the largest overlap. Nodes of a program that was
captured by torch.export are matched with the compiler's by structure (graph_match.py).
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from graph_match import matched
from truth import Graph, Kernel

import fxcost.fusion
from fxcost.binding import Program
from fxcost.fusion import kernels

sys.path.append(str(Path(__file__).resolve().parents[1] / "python"))
from fxir_reader import Fxir  # noqa: E402


@dataclass(frozen=True)
class Mine:
    kind: str
    members: frozenset[str]
    bytes: int


@dataclass
class Comparison:
    """``pairs``: every kernel of Inductor with the one that stands for it; None for either where there is none."""

    name: str
    pairs: list[tuple[Kernel | None, Mine | None]] = field(default_factory=list)
    bytes: int = 0
    our_bytes: int = 0

    @property
    def kernels(self) -> int:
        return sum(theirs is not None for theirs, _ in self.pairs)

    @property
    def our_kernels(self) -> int:
        return sum(ours is not None for _, ours in self.pairs)

    @property
    def same_members(self) -> int:
        return sum(bool(a and b and a.members == b.members) for a, b in self.pairs)

    @property
    def same_bytes(self) -> int:
        return sum(bool(a and b and a.bytes == b.bytes) for a, b in self.pairs)

    def misses(self) -> Iterator[str]:
        """What differs, a line for each pair of kernels."""
        for theirs, ours in self.pairs:
            if theirs is None:
                assert ours is not None
                yield f"{self.name}: only ours: {_text(ours)}"
            elif ours is None:
                yield f"{self.name}: only Inductor's: {_text(theirs)}"
            elif theirs.members != ours.members or theirs.bytes != ours.bytes:
                yield f"{self.name}: {_difference(theirs, ours)}"


@dataclass
class Totals:
    """Sums over programs, as the acceptance asks for them."""

    programs: int = 0
    equal_counts: int = 0
    kernels: int = 0
    our_kernels: int = 0
    same_members: int = 0
    same_bytes: int = 0
    bytes: int = 0
    our_bytes: int = 0

    def add(self, one: Comparison) -> None:
        self.programs += 1
        self.equal_counts += one.kernels == one.our_kernels
        for name in ("kernels", "our_kernels", "same_members", "same_bytes", "bytes", "our_bytes"):
            setattr(self, name, getattr(self, name) + getattr(one, name))

    @property
    def count_error(self) -> float:
        return abs(self.our_kernels - self.kernels) / max(self.kernels, 1)

    @property
    def byte_error(self) -> float:
        return abs(self.our_bytes - self.bytes) / max(self.bytes, 1)

    @property
    def member_share(self) -> float:
        return self.same_members / max(self.kernels, 1)

    @property
    def byte_share(self) -> float:
        return self.same_bytes / max(self.kernels, 1)

    def __str__(self) -> str:
        return (
            f"{self.our_kernels} kernels for {self.kernels}, counts equal on {self.equal_counts} of {self.programs}, "
            f"member sets {self.member_share:.1%}, bytes of a kernel {self.byte_share:.1%}, "
            f"byte sum off by {self.byte_error:.2%}"
        )


def compare(name: str, graph: Graph, program: bytes, profile: str) -> Comparison:
    names = _names(graph, program)
    ours = [
        Mine(kernel.kind, frozenset(names.get(node, node) for node in kernel.nodes), _bytes(kernel, profile))
        for kernel in kernels(Program.from_bytes(program, name), profile)
    ]
    found = Comparison(name, bytes=graph.bytes, our_bytes=sum(kernel.bytes for kernel in ours))
    views = frozenset(name for name, target in graph.targets.items() if target.rpartition(".")[0] in _VIEWS)
    found.pairs = list(_paired(_unlabelled(graph.kernels, views), _unlabelled(ours, views)))
    return found


def _bytes(kernel: fxcost.fusion.Kernel, profile: str) -> int:
    """Inductor's own accounting, which only its own profiles have; of a baseline what it reads and writes."""
    return kernel.inductor_bytes if profile.startswith("inductor") else kernel.bytes_read + kernel.bytes_written


_Either = TypeVar("_Either", Kernel, Mine)


# Operators that compute nothing.
_VIEWS = frozenset(
    f"aten.{name}" for name in ("view", "reshape", "permute", "expand", "slice", "select", "squeeze", "unsqueeze")
)


def _unlabelled(kernels: Sequence[_Either], views: frozenset[str]) -> list[_Either]:
    """A copy that is made for a library call carries the name of the call, or of the view that it copies, beside those
    of what it evaluates, or alone: the name is a label then, and kept only where there is no other."""
    calls = frozenset().union(*(kernel.members for kernel in kernels if kernel.kind == "extern"))
    return [
        kernel if kernel.kind == "extern" else replace(kernel, members=kernel.members - calls - views or kernel.members)
        for kernel in kernels
    ]


def lowered_graph(program: Fxir) -> int:
    """The graph with the view lowered."""
    return [program.enum_text("view", view) for view in program.graph_view].index("lowered")


def _names(graph: Graph, program: bytes) -> dict[str, str]:
    """Inductor's name of each node of a program that lowers to the same graph, or nearly."""
    assert graph.program is not None
    theirs = graph.program.to_bytes()
    if program == theirs:
        return {}
    ours, caught = Fxir(program), Fxir(theirs)
    row = lowered_graph(ours)
    found = matched(ours, row, caught, 0)
    names = {}
    for node in range(ours.graph_node_begin[row], ours.graph_node_begin[row + 1]):
        name = ours.text("value_name", ours.result(node))
        # A name that both graphs use for different nodes must not match by accident.
        names[name] = caught.text("value_name", caught.result(found[node])) if node in found else f"{name} (only ours)"
    return names


def plain_target(target: str) -> str:
    return "operator." + target[19:-1] if target.startswith("<built-in function ") else target


def _paired(theirs: Iterable[Kernel], ours: Iterable[Mine]) -> Iterator[tuple[Kernel | None, Mine | None]]:
    left, rest = list(theirs), list(ours)
    for same in (
        lambda a, b: a.members == b.members and a.bytes == b.bytes and (a.kind == "extern") == (b.kind == "extern"),
        lambda a, b: a.members == b.members and (a.kind == "extern") == (b.kind == "extern"),
    ):
        unmatched = []
        for a in left:
            b = next((b for b in rest if same(a, b)), None)
            if b is None:
                unmatched.append(a)
            else:
                rest.remove(b)
                yield a, b
        left = unmatched
    overlaps = [
        (len(a.members & b.members) / len(a.members | b.members), a.bytes == b.bytes, i, j)
        for i, a in enumerate(left)
        for j, b in enumerate(rest)
        if a.members & b.members and (a.kind == "extern") == (b.kind == "extern")
    ]
    used: tuple[set[int], set[int]] = set(), set()
    for _, _, i, j in sorted(overlaps, key=lambda x: (-x[0], -x[1], x[2], x[3])):
        if i not in used[0] and j not in used[1]:
            used[0].add(i)
            used[1].add(j)
            yield left[i], rest[j]
    yield from ((a, None) for i, a in enumerate(left) if i not in used[0])
    yield from ((None, b) for j, b in enumerate(rest) if j not in used[1])


def _text(kernel: Kernel | Mine) -> str:
    return f"{kernel.kind} of {kernel.bytes:,} B {{{', '.join(sorted(kernel.members))}}}"


def _difference(theirs: Kernel, ours: Mine) -> str:
    both = sorted(theirs.members & ours.members)
    shown = ", ".join(both[:6]) + (f" and {len(both) - 6} more" if len(both) > 6 else "")
    text = f"{theirs.kind} {{{shown}}}"
    if theirs.members - ours.members:
        text += f", Inductor also {', '.join(sorted(theirs.members - ours.members))}"
    if ours.members - theirs.members:
        text += f", ours also {', '.join(sorted(ours.members - theirs.members))}"
    if theirs.bytes != ours.bytes:
        text += f": {ours.bytes:,} B for {theirs.bytes:,} B"
    return text


def operators(graph: Graph | bytes) -> Counter[str]:
    """The operators of a graph, by how often they occur."""
    if isinstance(graph, Graph):
        return Counter(plain_target(target) for target in graph.targets.values())
    program = Fxir(graph)
    return Counter(program.ops(lowered_graph(program)))
