"""Times of kernels for Inductor, whose own are 0 on a CPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from ..binding import Program
from ..compiling import program_of
from ..exporter import ambient
from ..fusion import Kernel, kernels
from ..lowered import copied, unrun
from . import call
from .hooks import cache_key, seam, setting
from .seconds import DEVICE, PROFILE, program_seconds

_PURPOSE = "times of Inductor's kernels"


@contextlib.contextmanager
def kernel_runtimes(*, device: str = DEVICE, profile: str = PROFILE) -> Iterator[None]:
    """What Inductor compiles meanwhile has predicted times: every scheduler node's estimate (``metrics.node_runtimes``,
    reordering of communication), ``config.estimate_op_runtime``, and the nodes' times for overlap scheduling. Settings
    are put back at the end; a pass after fusion that was set before runs first."""
    config = setting("torch._inductor.config", "_post_fusion_custom_pass", _PURPOSE)
    setting("torch._inductor.config", "estimate_op_runtime", _PURPOSE)
    setting("torch._inductor.config", "aten_distributed_optimizations.custom_runtime_estimation", _PURPOSE)
    settings = {
        "_post_fusion_custom_pass": scheduler_pass(device, profile, config._post_fusion_custom_pass),
        "estimate_op_runtime": op_runtime,
        "aten_distributed_optimizations.custom_runtime_estimation": NodeRuntime(device, profile),
    }
    with config.patch(settings):
        yield


def scheduler_pass(device: str = DEVICE, profile: str = PROFILE, before: Any = None) -> Any:
    """A ``CustomSchedulerPass`` that sets ``override_estimated_runtime`` of the kernels that Inductor fused, in ms."""
    base: Any = seam("torch._inductor.custom_graph_pass", "CustomSchedulerPass", _PURPOSE)

    class KernelRuntimes(base):  # type: ignore[misc]
        def __call__(self, nodes: list[Any]) -> list[Any]:
            nodes = nodes if before is None else before(nodes)
            for node, seconds in _seconds(nodes, device, profile):
                node.override_estimated_runtime = 1e3 * seconds
            return nodes

        def uuid(self) -> str | None:
            inner = before.uuid() if hasattr(before, "uuid") else None
            if before is not None and inner is None:
                return None  # torch cannot cache it
            return cache_key("kernel runtimes", profile, device, repr(inner))

    return KernelRuntimes()


def op_runtime(node: Any) -> float:
    """For ``config.estimate_op_runtime``: what :func:`scheduler_pass` set, or Inductor's own."""
    return float(node.get_estimated_runtime())


class NodeRuntime:
    """For ``config.aten_distributed_optimizations.custom_runtime_estimation``: milliseconds of a node of a graph by
    itself. Collectives, and what fxcost knows no time of, are left to torch."""

    def __init__(self, device: str = DEVICE, profile: str = PROFILE) -> None:
        self.device, self.profile = device, profile

    def __call__(self, node: torch.fx.Node, override_size: int | None = None) -> float | None:
        target = node.target
        if not isinstance(target, torch._ops.OpOverload) or "c10d" in target.namespace or override_size is not None:
            return None
        return 1e3 * program_seconds(call.of_node(node), self.profile, self.device)

    def uuid(self) -> str:
        return cache_key("node runtime", self.profile, self.device)


# ---- Inductor's kernels and ours ------------------------------------------------------------------------------------


def _seconds(nodes: list[Any], device: str, profile: str) -> Iterator[tuple[Any, float]]:
    """The graph that is being compiled is fused by fxcost too; each of Inductor's kernels gets the time of the one that
    is most like it."""
    virtual: Any = seam("torch._inductor.virtualized", "V", _PURPOSE)
    graph = virtual.graph
    part = "inference" if graph.is_inference else "backward" if graph.is_backward else "forward"
    captured = program_of(unrun(graph.module, copied(graph.module.graph)), part, part, ambient(), "lowered")
    found = kernels(Program.from_bytes(captured.to_bytes(), part), profile, device)
    chosen = _matched(nodes, found)
    taken = list(chosen.values())
    for place, number in chosen.items():
        seconds = found[number].seconds
        if seconds is not None:  # where Inductor made several kernels of it, they share its time
            yield nodes[place], seconds / taken.count(number)


def _matched(nodes: list[Any], found: list[Kernel]) -> dict[int, int]:
    """Kernels by the place of Inductor's: the most alike pairs first, each taken once while there are any."""
    by_node: dict[str, set[int]] = {}
    for number, kernel in enumerate(found):
        for name in kernel.nodes:
            by_node.setdefault(name, set()).add(number)
    pairs = []
    for place, node in enumerate(nodes):
        names, size = _origins(node), _bytes(node)
        for number in set().union(*(by_node.get(name, set()) for name in names)):
            pairs.append((_likeness(found[number], names, size, _is_extern(node)), -number, place))
    chosen: dict[int, int] = {}
    best: dict[int, int] = {}
    taken: set[int] = set()
    for _, minus, place in sorted(pairs, reverse=True):
        best.setdefault(place, -minus)
        if place not in chosen and -minus not in taken:
            chosen[place] = -minus
            taken.add(-minus)
    return best | chosen


def _likeness(kernel: Kernel, names: set[str], size: int, extern: bool) -> tuple[bool, bool, float]:
    """Of one sort, of equal traffic by Inductor's own count, and made from the same nodes."""
    nodes = set(kernel.nodes)
    return (kernel.kind == "extern") == extern, kernel.inductor_bytes == size, len(nodes & names) / len(nodes | names)


def _is_extern(node: Any) -> bool:
    return bool(node.is_extern())


def _bytes(node: Any) -> int:
    return int(sum(node.get_read_write_buffer_accesses(True, True).values()))


def _origins(node: Any) -> set[str]:
    """Names of the graph's nodes that Inductor says a kernel was made from; none of what launches nothing."""
    if type(node).__name__ == "NopKernelSchedulerNode":
        return set()
    parts = (part.node for part in node.get_nodes())
    return {origin.name for part in parts if hasattr(part, "get_origins") for origin in part.get_origins()}
