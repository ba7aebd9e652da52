"""What torch.compile made of a model: graphs, breaks between them, recompilations, kernels, FLOPs by module."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from ..binding import Program
from ..captured import Capture
from ..fusion import kernel_count
from ..report import Report


@dataclass
class DynamoGraph:
    """A graph that Dynamo handed over. ``compile_id`` is torch's own: frame number, and how often it was compiled."""

    compile_id: str
    delegate: str
    training: bool
    break_reason: str  # why the graph ends before its function does; "" where it does not
    break_place: str
    graphs: list[CompiledGraph] = field(default_factory=list)
    compile_seconds: float = 0.0  # spent in the delegate and in the analysis
    analysis_seconds: float = 0.0  # of these, in the analysis
    compiling: bool = False

    @classmethod
    def of(cls, graph: torch.fx.GraphModule, delegate: str) -> DynamoGraph:
        identity = torch._guards.CompileContext.current_compile_id()
        ended = getattr(graph, "compile_subgraph_reason", None)
        reason = place = ""
        if ended is not None and ended.graph_break:
            reason = ended.reason.strip().splitlines()[0]
            frame = ended.user_stack[-1] if ended.user_stack else None
            place = f"{frame.filename}:{frame.lineno}" if frame is not None else ""
        inputs = (node.meta.get("example_value") for node in graph.graph.find_nodes(op="placeholder"))
        grads = any(isinstance(value, torch.Tensor) and value.requires_grad for value in inputs)
        training = grads and torch.is_grad_enabled()
        return cls(str(identity) if identity is not None else "?", delegate, training, reason, place)

    @property
    def label(self) -> str:
        return f"graph {self.compile_id}"

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.analysis_seconds += time.perf_counter() - start

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        self.compiling = True
        try:
            yield
        finally:
            self.compiling = False


class CompiledGraph:
    """A graph as it was compiled: of inference, or the forward or the backward graph of a training step."""

    def __init__(self, source: DynamoGraph, part: str, program: Callable[[], Capture]) -> None:
        self.source, self.part, self._program = source, part, program

    @functools.cached_property
    def program(self) -> Capture:
        """The graph as a program, which can be saved."""
        return self._program()

    @functools.cached_property
    def report(self) -> Report:
        """What one run of the graph costs, dynamic sizes at those that it was compiled for."""
        return Report(Program.from_bytes(self.program.to_bytes(), self.program.model))

    @functools.cached_property
    def kernels(self) -> int | None:
        """How many kernels Inductor fuses it to under the profile inductor-cpu; None with another delegate."""
        if self.source.delegate != "inductor":
            return None
        return kernel_count(self.report.program, "inductor-cpu")

    def __repr__(self) -> str:
        return f"<fxcost.compiler.CompiledGraph {self.source.compile_id} {self.part}>"


@dataclass(frozen=True)
class Frame:
    """A function that Dynamo compiled, once for each set of guards. ``recompiled`` says why it was compiled again."""

    compile_id: str
    function: str
    place: str
    recompiled: str


class CompiledProgram:
    """Everything that a model was compiled to. Sums are over graphs, each run once: a model that runs a graph twice,
    or that was compiled again for other sizes, runs other amounts."""

    def __init__(self, graphs: list[DynamoGraph]) -> None:
        self.dynamo_graphs = graphs
        self._metrics = {metric.compile_id: metric for metric in _metrics()}

    @property
    def graphs(self) -> list[CompiledGraph]:
        return [graph for unit in self.dynamo_graphs for graph in unit.graphs]

    @property
    def delegate(self) -> str:
        """What compiled it; several where torch.compile was told so."""
        return ", ".join(dict.fromkeys(unit.delegate for unit in self.dynamo_graphs)) or "nothing"

    @property
    def frames(self) -> list[Frame]:
        """One for each graph of Dynamo's."""
        return [self._frame(unit.compile_id) for unit in self.dynamo_graphs]

    @property
    def breaks(self) -> list[tuple[str, str]]:
        """Where graphs end before their function does, and why; a place that was compiled twice is told once."""
        found = ((unit.break_place, unit.break_reason) for unit in self.dynamo_graphs if unit.break_reason)
        return list(dict.fromkeys(found))

    @property
    def recompiles(self) -> list[Frame]:
        return [frame for frame in self.frames if not frame.compile_id.endswith("/0")]

    @property
    def flops(self) -> int:
        return sum(graph.report.flops for graph in self.graphs)

    @property
    def matrix_flops(self) -> int:
        return sum(graph.report.matrix_flops for graph in self.graphs)

    @property
    def macs(self) -> int:
        return sum(graph.report.macs for graph in self.graphs)

    @property
    def bytes(self) -> int:
        return sum(graph.report.bytes for graph in self.graphs)

    @property
    def kernels(self) -> int | None:
        counts = [graph.kernels for graph in self.graphs]
        return None if None in counts else sum(count for count in counts if count is not None)

    @property
    def unknown(self) -> dict[str, int]:
        """Operators without a formula, which are in no total."""
        total: dict[str, int] = {}
        for graph in self.graphs:
            for op, count in graph.report.unknown.items():
                total[op] = total.get(op, 0) + count
        return total

    @property
    def compile_seconds(self) -> float:
        """Spent in the delegate and in the analysis, without Dynamo."""
        return sum(unit.compile_seconds for unit in self.dynamo_graphs)

    @property
    def analysis_seconds(self) -> float:
        """Of these, by fxcost. What a report computes later is not in it."""
        return sum(unit.analysis_seconds for unit in self.dynamo_graphs)

    def by_module(self) -> dict[tuple[str, str], dict[str, int]]:
        """FLOPs of forward (or inference) and backward by function and qualified module name. Names are those inside
        of the function's own module: after a graph break a function of an inner module stands for itself."""
        rows: dict[tuple[str, str], dict[str, int]] = {}
        for unit in self.dynamo_graphs:
            frame = self._frame(unit.compile_id)
            for graph in unit.graphs:
                for name, row in graph.report.by_module().items():
                    into = rows.setdefault((f"{frame.function} {frame.place}".strip(), name), {})
                    part = "backward" if graph.part == "backward" else "forward"
                    into[part] = into.get(part, 0) + row.flops
        return rows

    def to_dict(self) -> dict[str, Any]:
        """The report as data."""
        graphs = [
            {
                "compile_id": graph.source.compile_id,
                "part": graph.part,
                "flops": graph.report.flops,
                "matrix_flops": graph.report.matrix_flops,
                "bytes": graph.report.bytes,
                "nodes": graph.report.program.info().nodes,
                "kernels": graph.kernels,
                "unknown": graph.report.unknown,
            }
            for graph in self.graphs
        ]
        modules = [{"function": f, "module": m, **counts} for (f, m), counts in self.by_module().items()]
        return {
            "delegate": self.delegate,
            "graphs": graphs,
            "frames": [vars(frame) for frame in self.frames],
            "breaks": [{"place": place, "reason": reason} for place, reason in self.breaks],
            "recompiles": [vars(frame) for frame in self.recompiles],
            "flops": self.flops,
            "matrix_flops": self.matrix_flops,
            "bytes": self.bytes,
            "kernels": self.kernels,
            "unknown": self.unknown,
            "modules": modules,
            "compile_seconds": self.compile_seconds,
            "analysis_seconds": self.analysis_seconds,
        }

    def __str__(self) -> str:
        from .text import text_of

        return text_of(self)

    def _frame(self, compile_id: str) -> Frame:
        metric = self._metrics.get(compile_id)
        if metric is None:  # torch keeps the last ones only
            return Frame(compile_id, "?", "", "")
        place = f"{metric.co_filename}:{metric.co_firstlineno}" if metric.co_filename else ""
        reason = (getattr(metric, "recompile_reason", None) or "").partition(": ")[2]
        return Frame(compile_id, metric.co_name or "?", place, reason)


def _metrics() -> list[Any]:
    """What Dynamo notes of each frame that it compiled."""
    from torch._dynamo import utils

    found: list[Any] = getattr(utils, "get_compilation_metrics", list)()
    return [metric for metric in found if getattr(metric, "co_name", None)]
