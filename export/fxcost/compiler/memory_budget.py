"""Activation checkpointing by torch's memory budget, with fxcost's costs in place of one unit for all but products."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from . import call
from .hooks import cache_key, seam, setting
from .recompute import Saved, Split
from .search import Search
from .seconds import DEVICE, PROFILE, program_seconds

_PURPOSE = "a memory budget"
# Torch asks a solver only where none of its own cuts is within the budget: with this one always.
_ASK = 1e-9


@contextlib.contextmanager
def use_memory_budget(budget: float, *, device: str = DEVICE, profile: str = PROFILE) -> Iterator[None]:
    """What is compiled for training inside the block keeps at most about ``budget`` of the activations (0 keeps none,
    1 all that is worth it), and fxcost chooses what is recomputed: with no higher peak of memory than torch's own
    choice, in the least time of both passes. Settings are put back at the end; compile inside, run anywhere::

        with fxcost.compiler.use_memory_budget(0.3):
            step = torch.compile(model)
            step(x).sum().backward()          # the first call compiles
    """
    config = setting("torch._functorch.config", "activation_memory_budget", _PURPOSE)
    setting("torch._functorch.config", "activation_memory_budget_solver", _PURPOSE)
    setting("torch._functorch.config", "activation_memory_budget_runtime_estimator", _PURPOSE)
    with config.patch(
        activation_memory_budget=_ASK if 0 < budget < 1 else budget,
        activation_memory_budget_runtime_estimator=runtime_estimator(device, profile),
        activation_memory_budget_solver=knapsack_solver(device, profile, budget),
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


def knapsack_solver(device: str = DEVICE, profile: str = PROFILE, budget: float | None = None) -> Any:
    """A ``CustomKnapsackSolver`` that evaluates choices as a whole: what is saved for them, what the fused kernels of
    both passes then take, and the memory that they need. Torch asks it only where each of its own cuts keeps more than
    torch's budget; a ``budget`` given here is the one that counts where torch's is as good as none."""
    base: Any = seam("torch._inductor.custom_graph_pass", "CustomKnapsackSolver", _PURPOSE)

    class KnapsackSolver(base):  # type: ignore[misc]
        def __call__(
            self, memory: list[float], joint_graph: torch.fx.Graph, max_memory: float, node_info: Any, nodes: list[Any]
        ) -> tuple[list[int], list[int]]:
            share = budget if budget is not None and max_memory <= _ASK else max_memory
            split = Split(joint_graph, node_info, nodes, profile, device)
            theirs = _torch_choice(split, share)
            search = Search(split, theirs, split.candidates(theirs), _limit(split, memory, share))
            kept = split.mark(search.best())
            numbers = range(len(nodes))
            return [i for i in numbers if nodes[i] in kept], [i for i in numbers if nodes[i] not in kept]

        def uuid(self) -> str:
            return cache_key("knapsack solver", profile, device, str(budget))

    return KnapsackSolver()


def _limit(split: Split, memory: list[float], share: float) -> int:
    """Bytes of a share of the activations; torch tells them by the shares that nodes have."""
    part, node = max(zip(memory, split.asked, strict=True), key=lambda pair: pair[0])
    return int(share * int(split.size_of(node)) / part) if part > 0 else 0


def _torch_choice(split: Split, share: float) -> Saved:
    """What torch saves by default: FLOPs of products, one unit for anything else, an exact knapsack."""
    choose: Any = seam("torch._functorch.partitioners", "choose_saved_values_set", _PURPOSE)
    base: Any = seam("torch._inductor.custom_graph_pass", "CustomRuntimeEstimator", _PURPOSE)
    config = setting("torch._functorch.config", "activation_memory_budget", _PURPOSE)

    class Flops(base):  # type: ignore[misc]
        """Torch's "flops", whose counter counts nothing where a solver is called."""

        def __call__(self, node: torch.fx.Node) -> float:
            return max(call.matrix_flops(call.of_node(node)) or 0, 1)

        def uuid(self) -> str:
            return cache_key("flops")

    with config.patch(activation_memory_budget_runtime_estimator=Flops(), activation_memory_budget_solver="dp"):
        chosen = choose(split.joint, split.info, share)
    return Saved(node for node in chosen if node not in split.inputs and isinstance(node.meta.get("val"), torch.Tensor))
