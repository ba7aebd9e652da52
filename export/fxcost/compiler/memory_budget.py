"""Activation checkpointing by torch's memory budget, with fxcost's costs in place of one unit for all but products."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator
from typing import Any

import torch

from . import call
from .flops import is_anchor
from .hooks import cache_key, seam, setting
from .recompute import Outcome, Split, keep
from .seconds import DEVICE, PROFILE, program_seconds

_PURPOSE = "a memory budget"
# Cuts that one graph is evaluated at, each a minimum cut and a fusion of both halves: the time that compiling may take.
_EVALUATIONS = 40


@contextlib.contextmanager
def use_memory_budget(budget: float, *, device: str = DEVICE, profile: str = PROFILE) -> Iterator[None]:
    """What is compiled for training inside the block keeps at most about ``budget`` of the activations (0 keeps none,
    1 all that is worth it), and fxcost chooses what is recomputed: never more bytes than torch's own choice would
    keep, in the least time of both passes. Settings are put back at the end; compile inside, run anywhere::

        with fxcost.compiler.use_memory_budget(0.3):
            step = torch.compile(model)
            step(x).sum().backward()          # the first call compiles
    """
    config = setting("torch._functorch.config", "activation_memory_budget", _PURPOSE)
    setting("torch._functorch.config", "activation_memory_budget_solver", _PURPOSE)
    setting("torch._functorch.config", "activation_memory_budget_runtime_estimator", _PURPOSE)
    with config.patch(
        activation_memory_budget=budget,
        activation_memory_budget_runtime_estimator=runtime_estimator(device, profile),
        activation_memory_budget_solver=knapsack_solver(device, profile),
    ):
        yield


def runtime_estimator(device: str = DEVICE, profile: str = PROFILE) -> Any:
    """A ``CustomRuntimeEstimator``: seconds of a node by itself, for torch's own solvers."""
    base: Any = seam("torch._inductor.custom_graph_pass", "CustomRuntimeEstimator", _PURPOSE)

    class RuntimeEstimator(base):  # type: ignore[misc]
        def __call__(self, node: torch.fx.Node) -> float:
            # Torch's solvers take what costs nothing for a value that need not be kept.
            return max(program_seconds(call.of_node(node), profile, device), 1e-9)

        def uuid(self) -> str:
            return cache_key("runtime estimator", profile, device)

    return RuntimeEstimator()


def knapsack_solver(device: str = DEVICE, profile: str = PROFILE) -> Any:
    """A ``CustomKnapsackSolver`` that evaluates choices as a whole: what must be kept for them, and what the fused
    kernels of both passes then take."""
    base: Any = seam("torch._inductor.custom_graph_pass", "CustomKnapsackSolver", _PURPOSE)

    class KnapsackSolver(base):  # type: ignore[misc]
        def __call__(
            self, memory: list[float], joint_graph: torch.fx.Graph, max_memory: float, node_info: Any, nodes: list[Any]
        ) -> tuple[list[int], list[int]]:
            theirs = _torch_choice(memory, max_memory, nodes)
            split = Split(joint_graph, node_info, profile, device)
            return _Search(split, nodes, theirs, _dear(joint_graph, node_info, nodes)).result()

        def uuid(self) -> str:
            return cache_key("knapsack solver", profile, device)

    return KnapsackSolver()


def _torch_choice(memory: list[float], max_memory: float, nodes: list[torch.fx.Node]) -> frozenset[int]:
    """What torch recomputes by default: FLOPs of products, one unit for anything else, an exact knapsack."""
    from torch._functorch import config

    estimate: Any = seam("torch._functorch.partitioners", "estimate_runtime", _PURPOSE)
    solve: Any = seam("torch._functorch._activation_checkpointing.knapsack", "dp_knapsack", _PURPOSE)
    mode: Any = torch._guards.detect_fake_mode([node.meta.get("val") for node in nodes])
    with (
        config.patch(activation_memory_budget_runtime_estimator="flops"),
        torch.utils._mode_utils.no_dispatch(),
        mode or contextlib.nullcontext(),
    ):
        runtimes = [estimate(node) for node in nodes]
    _, _, recomputed = solve(memory, runtimes, max_memory)
    return frozenset(recomputed)


class _Search:
    """Which nodes are kept: of those that the partitioner leaves to the solver, and of those that it recomputes as if
    that were free."""

    def __init__(self, split: Split, nodes: list[torch.fx.Node], theirs: frozenset[int], extras: list[Any]) -> None:
        self.split, self.nodes = split, [*nodes, *extras]
        self.asked = len(nodes)
        self.theirs = frozenset(range(len(nodes))) - theirs
        order = {node: place for place, node in enumerate(split.joint.nodes)}
        # Equal calls of equal layers, the last layer's first: what it keeps is given back first.
        self.groups: dict[Any, list[int]] = {}
        for number in sorted(range(len(self.nodes)), key=lambda number: -order[self.nodes[number]]):
            self.groups.setdefault(_kind(self.nodes[number]), []).append(number)

    def result(self) -> tuple[list[int], list[int]]:
        kept = self._best()
        keep(self.nodes[number] for number in kept if number >= self.asked)
        asked = range(self.asked)
        return [number for number in asked if number in kept], [number for number in asked if number not in kept]

    def _outcome(self, kept: frozenset[int]) -> Outcome:
        recomputed = (self.nodes[number] for number in range(self.asked) if number not in kept)
        return self.split.outcome(recomputed, (self.nodes[number] for number in kept if number >= self.asked))

    def _best(self) -> frozenset[int]:
        limit = self._outcome(self.theirs)
        best, found = self.theirs, limit
        for choice in self._choices(limit.saved):
            outcome = self._outcome(choice)
            if outcome.saved <= limit.saved and (outcome.seconds, outcome.saved) < (found.seconds, found.saved):
                best, found = choice, outcome
            if self.split.evaluated >= _EVALUATIONS:
                break
        return best

    def _choices(self, limit: int) -> Iterator[frozenset[int]]:
        """Kinds in the order of the seconds that a kept byte is worth, as many nodes as fit; then what is near it."""
        worth = self._worth()
        order = [number for kind in sorted(worth, key=worth.__getitem__, reverse=True) for number in self.groups[kind]]
        low, high = 0, len(order)
        while low < high:  # the longest beginning that fits
            middle = (low + high + 1) // 2
            yield frozenset(order[:middle])
            low, high = (middle, high) if self._outcome(frozenset(order[:middle])).saved <= limit else (low, middle - 1)
        fitting = frozenset(order[:low])
        for number in order[low:]:  # and what else fits behind it
            with_it = fitting | {number}
            yield with_it
            if self._outcome(with_it).saved <= limit:
                fitting = with_it
        for start in (fitting, self.theirs):
            for kind in self.groups:
                yield start - frozenset(self.groups[kind])
            for first, second in itertools.permutations(self.groups.values(), 2):
                yield (start - frozenset(first)) | frozenset(second)

    def _worth(self) -> dict[Any, float]:
        """Seconds for a byte that a kind takes when it is kept: with nothing else kept, and with all else."""
        nothing, everything = frozenset[int](), frozenset(range(len(self.nodes)))
        worth = {}
        for kind, group in self.groups.items():
            alone, last = self._outcome(frozenset(group)), self._outcome(everything - frozenset(group))
            seconds = self._outcome(nothing).seconds - alone.seconds + last.seconds - self._outcome(everything).seconds
            taken = alone.saved - self._outcome(nothing).saved + self._outcome(everything).saved - last.saved
            if seconds > 0:
                worth[kind] = seconds / taken if taken > 0 else math.inf
        return worth


def _dear(joint: torch.fx.Graph, info: Any, nodes: list[torch.fx.Node]) -> list[torch.fx.Node]:
    """Nodes of the forward pass that torch recomputes freely though they are no pointwise work: fused attention of a
    CPU, recurrences, products that its list lacks."""
    given = set(nodes)
    return [
        node
        for node in joint.nodes
        if node.op == "call_function"
        and isinstance(node.target, torch._ops.OpOverload)
        and info.is_required_fw(node)
        and node not in given
        and is_anchor(node.target)
    ]


def _kind(node: torch.fx.Node) -> Any:
    """Calls that cost the same in equal layers."""
    shapes = tuple(str(tuple(value.shape)) for value in _tensors(node))
    return str(node.target), shapes


def _tensors(node: torch.fx.Node) -> Iterator[torch.Tensor]:
    for value in (node, *node.all_input_nodes):
        val = value.meta.get("val")
        if isinstance(val, torch.Tensor):
            yield val
