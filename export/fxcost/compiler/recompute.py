"""What a choice of saved values costs: the forward and the backward graph that it gives, fused, timed and followed
through memory."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from ..binding import Program
from ..compiling import program_of
from ..exporter import ambient
from ..fusion import Kernel, kernels
from ..lowered import unrun
from . import call
from .hooks import seam
from .seconds import total

Saved = frozenset[torch.fx.Node]
_PURPOSE = "a memory budget"


@dataclass(frozen=True)
class Outcome:
    """``saved`` bytes are kept for the backward pass besides inputs; ``seconds`` are those of forward and backward;
    ``peak`` is the most bytes that either has alive at once beside parameters and inputs."""

    saved: int
    seconds: float
    peak: int


class Split:
    """A joint graph that is to be cut into forward and backward. ``asked`` are the nodes that the partitioner leaves to
    its solver: it would never recompute them by itself."""

    def __init__(self, joint: torch.fx.Graph, info: Any, asked: list[torch.fx.Node], profile: str, device: str) -> None:
        self.joint, self.info, self.asked, self.profile, self.device = joint, info, asked, profile, device
        self.size_of: Any = seam("torch._functorch.partitioners", "_size_of", _PURPOSE)
        self._ops: Any = seam("torch._functorch.partitioners", "get_default_op_list", _PURPOSE)()
        self._is_ordered_again: Any = seam("torch._functorch.partitioners", "must_recompute", _PURPOSE)
        self.inputs = set(info.inputs)
        self._tangents = [node for node in joint.find_nodes(op="placeholder") if node not in self.inputs]
        self._place = {node: place for place, node in enumerate(joint.nodes)}
        returned = _flat(next(iter(reversed(joint.nodes))).args[0])
        self._first = [node for node in returned if info.is_required_fw(node)]
        self._second = [node for node in returned if not info.is_required_fw(node)]
        # What takes from a generator is something else when it is computed again. Torch would do that with the seeds
        # of Inductor, and drop out other elements in the backward pass.
        self._forward_nodes = [
            node for node in joint.nodes if node.op == "call_function" and node not in info.required_bw_nodes
        ]
        fixed = (
            node
            for node in self._forward_nodes
            if call.draws(node) or node.meta.get("recompute") == _policy().MUST_SAVE
        )
        self.fixed = Saved(value for node in fixed for value in _tensors(node))
        self._outcomes: dict[Saved, Outcome] = {}

    @property
    def evaluated(self) -> int:
        return len(self._outcomes)

    def ordered(self, nodes: Iterable[torch.fx.Node]) -> list[torch.fx.Node]:
        return sorted(nodes, key=self._place.__getitem__)

    def candidates(self, theirs: Saved) -> set[torch.fx.Node]:
        """What might be saved: what torch saves by any of its cuts, what it asks about, what its list of operators that
        are good to recompute lacks, and what the forward pass writes to memory anyway."""
        found = {*theirs, *self._cut(free=True), *self._cut(free=False)}
        written = self._forward_writes(theirs)
        for node in self._forward_nodes:
            if node in self.asked or node.name in written or not self._ops.is_recomputable(node):
                found.update(_tensors(node))
        wanted = (node for node in found - self.inputs if self.info.is_required_fw(node))
        return {node for node in wanted if _tensors(node) and not self._is_ordered_again(node)}

    def mark(self, saved: Saved) -> set[torch.fx.Node]:
        """Marks nodes as selective checkpointing does, so that torch's minimum cut saves these values, and returns what
        it must not recompute. It does not hear of views and parts of results, only of what they are taken from."""
        needed = self._needed(saved)
        kept = set()
        for node in needed:
            while node.target is operator.getitem or self._ops.is_view(node):
                node = node.all_input_nodes[0]
            kept.add(node)
        # What some part of is recomputed cannot be kept for another part: there would be no cut.
        recomputed = _reached(self._second, {*needed, *self.inputs}) - needed
        for node in self._forward_nodes:
            if node in recomputed:
                node.meta["recompute"] = _policy().MUST_RECOMPUTE
            elif node in kept:
                node.meta["recompute"] = _policy().MUST_SAVE
        return kept - recomputed

    def _cut(self, free: bool) -> list[torch.fx.Node]:
        """What torch saves when it may recompute what it leaves to the solver, or with all of its rules of thumb."""
        solve: Any = seam("torch._functorch.partitioners", "solve_min_cut", _PURPOSE)
        options: Any = seam("torch._functorch.partitioners", "MinCutOptions", _PURPOSE)
        ordered: Any = seam("torch.utils._ordered_set", "OrderedSet", _PURPOSE)
        rules = options(*(4 * [not free]), torch._functorch.config.ban_recompute_reductions)
        return list(solve(self.joint, self.info, rules, ordered(self.asked if free else ()))[0])

    def outcome(self, saved: Iterable[torch.fx.Node]) -> Outcome:
        """What follows from saving these values, as far as the backward pass uses them, and recomputing all else."""
        needed = self._needed(saved)
        found = self._outcomes.get(needed)
        if found is None:
            found = self._outcomes[needed] = self._evaluate(needed)
        return found

    def _needed(self, saved: Iterable[torch.fx.Node]) -> Saved:
        """Of ``saved`` what the backward pass reaches first."""
        stops = {*saved, *self.inputs}
        return frozenset((_reached(self._second, stops) & stops) - self.inputs)

    def _forward_writes(self, saved: Saved) -> set[str]:
        found = self._kernels(self._forward(self._needed(saved)), "forward")
        return {buffer.name for kernel in found for buffer in kernel.buffers if buffer.written}

    def _forward(self, saved: Saved) -> torch.fx.Graph:
        return _subgraph(self.joint, set(self.inputs), [*self._first, *self.ordered(saved)])

    def _evaluate(self, saved: Saved) -> Outcome:
        forward = self._kernels(self._forward(saved), "forward")
        backward = self._kernels(_subgraph(self.joint, {*self.inputs, *saved}, self._second), "backward")
        ours = {node.name: int(self.size_of(node)) for node in (*saved, *self._tangents)}
        peak = max(_peak(forward, {}), _peak(backward, ours))
        kept = sum(int(self.size_of(node)) for node in saved)
        return Outcome(kept, total(forward, self.device) + total(backward, self.device), peak)

    def _kernels(self, graph: torch.fx.Graph, part: str) -> list[Kernel]:
        module = unrun(self.joint.owning_module or {}, graph)
        captured = program_of(module, part, part, ambient(), "lowered")
        return kernels(Program.from_bytes(captured.to_bytes(), part), self.profile, self.device)


def _policy() -> Any:
    return seam("torch.utils.checkpoint", "CheckpointPolicy", _PURPOSE)


def _tensors(node: torch.fx.Node) -> list[torch.fx.Node]:
    """A node that is a tensor, or those that it returns several of."""
    if isinstance(node.meta.get("val"), torch.Tensor):
        return [node]
    return [user for user in node.users if user.target is operator.getitem and _tensors(user)]


def _peak(found: list[Kernel], given_up: dict[str, int]) -> int:
    """Most bytes alive at once beside what the caller holds. Of what a graph is given, compiled code lets go of
    ``given_up`` (bytes by name) after the last kernel that touches it; loops between library kernels are one call."""
    last = dict.fromkeys(given_up, -1)
    for number, kernel in enumerate(found):
        last.update((buffer.name, number) for buffer in kernel.buffers if buffer.name in given_up)
    freed = [0] * (len(found) + 1)
    for name, number in last.items():
        while 0 <= number < len(found) - 1 and "extern" not in (found[number].kind, found[number + 1].kind):
            number += 1
        freed[number + 1] += given_up[name]
    most = held = sum(given_up.values())
    for kernel, size in zip(found, freed, strict=False):
        held -= size
        most = max(most, kernel.peak_bytes - found[0].live_before + held)
    return most


def _flat(values: Any) -> list[torch.fx.Node]:
    return [value for value in torch.utils._pytree.tree_leaves(values) if isinstance(value, torch.fx.Node)]


def _reached(results: Iterable[torch.fx.Node], stops: set[torch.fx.Node]) -> set[torch.fx.Node]:
    """What ``results`` are computed from, down to ``stops``, which are among it."""
    found: set[torch.fx.Node] = set()
    stack = list(results)
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack.extend(() if node in stops else node.all_input_nodes)
    return found


def _subgraph(joint: torch.fx.Graph, given: set[torch.fx.Node], results: list[torch.fx.Node]) -> torch.fx.Graph:
    """The nodes of a graph that compute ``results`` where ``given`` are there."""
    needed = _reached(results, given)
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
