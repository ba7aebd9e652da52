"""What a choice of saved values costs: the forward and the backward graph that it gives, fused and timed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from ..binding import Program
from ..compiling import program_of
from ..exporter import ambient
from ..lowered import unrun
from .hooks import seam
from .seconds import program_seconds


@dataclass(frozen=True)
class Outcome:
    """``saved`` bytes are kept for the backward pass besides inputs; ``seconds`` are those of forward and backward."""

    saved: int
    seconds: float


class Split:
    """A joint graph that is to be cut into forward and backward."""

    def __init__(self, joint: torch.fx.Graph, info: Any, profile: str, device: str) -> None:
        self.joint, self.info, self.profile, self.device = joint, info, profile, device
        purpose = "a memory budget"
        self._solve: Any = seam("torch._functorch.partitioners", "solve_min_cut", purpose)
        self._size_of: Any = seam("torch._functorch.partitioners", "_size_of", purpose)
        options: Any = seam("torch._functorch.partitioners", "MinCutOptions", purpose)
        reductions = torch._functorch.config.ban_recompute_reductions
        # As the partitioner itself calls it around the solver: only what is never recomputed is banned.
        self._options = options(False, False, False, False, reductions)
        self._ordered: Any = seam("torch.utils._ordered_set", "OrderedSet", purpose)
        self._outcomes: dict[tuple[frozenset[str], frozenset[str]], Outcome] = {}

    def outcome(self, recomputed: Iterable[torch.fx.Node], kept: Iterable[torch.fx.Node]) -> Outcome:
        """What follows from recomputing nodes that the partitioner would keep by itself, and from keeping nodes that it
        would recompute."""
        nodes, marked = list(recomputed), list(kept)
        key = frozenset(node.name for node in nodes), frozenset(node.name for node in marked)
        found = self._outcomes.get(key)
        if found is None:
            with self._marked(marked):
                saved, _ = self._solve(self.joint, self.info, self._options, self._ordered(nodes))
            found = self._outcomes[key] = self._evaluate(saved)
        return found

    @contextlib.contextmanager
    def _marked(self, nodes: list[torch.fx.Node]) -> Iterator[None]:
        before = [node.meta.get("recompute") for node in nodes]
        keep(nodes)
        try:
            yield
        finally:
            for node, mark in zip(nodes, before, strict=True):
                node.meta["recompute"] = mark

    @property
    def evaluated(self) -> int:
        return len(self._outcomes)

    def _evaluate(self, saved: list[torch.fx.Node]) -> Outcome:
        inputs = set(self.info.inputs)
        kept = sum(int(self._size_of(node)) for node in saved if node not in inputs)
        returned = _flat(next(iter(reversed(self.joint.nodes))).args[0])
        first = [node for node in returned if self.info.is_required_fw(node)]
        second = [node for node in returned if not self.info.is_required_fw(node)]
        forward = _subgraph(self.joint, set(inputs), [*first, *saved])
        backward = _subgraph(self.joint, {*inputs, *saved}, second)
        seconds = sum(self._seconds(graph, part) for graph, part in ((forward, "forward"), (backward, "backward")))
        return Outcome(kept, seconds)

    def _seconds(self, graph: torch.fx.Graph, part: str) -> float:
        module = unrun(self.joint.owning_module or {}, graph)
        captured = program_of(module, part, part, ambient(), "lowered")
        return program_seconds(Program.from_bytes(captured.to_bytes(), part), self.profile, self.device)


def keep(nodes: Iterable[torch.fx.Node]) -> None:
    """Marks nodes as selective checkpointing does, so that the partitioner does not recompute them."""
    policy: Any = seam("torch.utils.checkpoint", "CheckpointPolicy", "a memory budget")
    for node in nodes:
        node.meta["recompute"] = policy.MUST_SAVE


def _flat(values: Any) -> list[torch.fx.Node]:
    return [value for value in torch.utils._pytree.tree_leaves(values) if isinstance(value, torch.fx.Node)]


def _subgraph(joint: torch.fx.Graph, given: set[torch.fx.Node], results: list[torch.fx.Node]) -> torch.fx.Graph:
    """The nodes of a graph that compute ``results`` where ``given`` are there."""
    needed: set[torch.fx.Node] = set()
    stack = list(results)
    while stack:
        node = stack.pop()
        if node not in needed:
            needed.add(node)
            if node not in given:
                stack.extend(node.all_input_nodes)
    graph = torch.fx.Graph()
    twins: dict[torch.fx.Node, torch.fx.Node] = {}
    for node in joint.nodes:
        if node not in needed:
            continue
        if node in given and node.op != "placeholder":
            twin = twins[node] = graph.placeholder(node.name)
            twin.meta = dict(node.meta)
        else:
            twins[node] = graph.node_copy(node, twins.__getitem__)
    graph.output(tuple(twins[node] for node in results))
    return graph
