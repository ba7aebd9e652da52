"""The report of an analysis for Python: numbers read off the C library, text rendered by it."""

from __future__ import annotations

import builtins
import html
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .binding import Analysis, Formula, MemorySummary, Program, seconds_or_none
from .enums import enum
from .errors import FxcostError
from .formulas import Corrections, Formulas

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .partitions import Partition


@dataclass(frozen=True)
class Metric:
    """A metric of one's own: its sum, over how many node executions, and how many its formula could not tell."""

    value: int
    nodes: int
    unknown_nodes: int


def _metrics(entry: dict[str, Any]) -> dict[str, Metric]:
    return {name: Metric(**numbers) for name, numbers in entry.get("metrics", {}).items()}


@dataclass(frozen=True)
class Row:
    """One module, class, operator or node. FLOPs are 2 per MAC; bytes are of the eager profile."""

    name: str
    flops: int
    macs: int
    matrix_flops: int
    vector_flops: int
    transcendentals: int
    int_ops: int
    bytes_read: int
    bytes_written: int
    kernels: int
    calls: int
    unknown_nodes: int
    activations: int
    output_elements: int
    seconds: float | None = None
    params: int | None = None
    op: str | None = None
    module: str | None = None
    shape: str | None = None
    coverage: str | None = None
    saved_bytes: int | None = None
    self_flops: int | None = None
    self_macs: int | None = None
    metrics: Mapping[str, Metric] = field(default_factory=dict)

    @classmethod
    def _from_json(cls, row: dict[str, Any]) -> Row:
        plain = {name: row[name] for name in cls.__dataclass_fields__ if name in row}
        return cls(**plain | {"metrics": _metrics(row)})

    @property
    def bytes(self) -> int:
        """Bytes read and written."""
        return self.bytes_read + self.bytes_written


class Report:
    """What a program costs. Built by :func:`analyze`, or from a program and options."""

    def __init__(
        self,
        program: Program,
        device: str | None = None,
        dims: Mapping[str, int] | None = None,
        corrections: Corrections | None = None,
        optimizer: str | None = None,
    ) -> None:
        self._analysis = Analysis(program)
        if optimizer:
            self._analysis.set("optimizer", optimizer)
        if corrections is not None:
            corrections.apply(self._analysis)
        if device:
            self._analysis.set("device", device)
        for name, value in (dims or {}).items():
            self._analysis.set(f"dim.{name}", str(value))
        self._totals = self._analysis.totals()
        self._json: dict[str, dict[str, Any]] = {}

    @property
    def program(self) -> Program:
        return self._analysis.program

    @property
    def flops(self) -> int:
        """Matrix and vector FLOPs; operators listed in :attr:`unknown` are in no total."""
        return self._totals.flops

    @property
    def macs(self) -> int:
        return self._totals.counts.macs

    @property
    def matrix_flops(self) -> int:
        return self._totals.counts.matrix_flops

    @property
    def params(self) -> int:
        """Elements of parameters, tied ones once."""
        return self._totals.params

    @property
    def active_params(self) -> int:
        """Elements of parameters that one token meets: of stacked experts those that its router picks. All without."""
        return int(self._totals.active_params)

    @property
    def trainable_params(self) -> int:
        """Elements of parameters that require a gradient; the others are frozen."""
        return int(self._totals.trainable_params)

    @property
    def saved_bytes(self) -> int | None:
        """What the forward pass keeps for the backward pass, without parameters, buffers and inputs; None unless a
        training step was captured."""
        return None if self._totals.saved_bytes < 0 else int(self._totals.saved_bytes)

    @property
    def peak_bytes(self) -> int:
        """Most bytes of tensors alive at once, the optimiser's state and step included where one is named."""
        return int(self._totals.peak_bytes)

    def memory(self) -> MemorySummary:
        """The peak and its parts (include/fxcost/memory.h)."""
        return self._analysis.memory()

    @property
    def phases(self) -> dict[str, int]:
        """FLOPs by part of a training step: forward, backward, accumulation, recompute, optimizer."""
        return dict(zip(enum("phase"), self._totals.phase_flops, strict=True))

    @property
    def flops_per_sample(self) -> float | None:
        """Of a training step; None where the number of samples is not known."""
        return self.flops / self._totals.samples if self._totals.samples else None

    @property
    def flops_per_token(self) -> float | None:
        return self.flops / self._totals.tokens if self._totals.tokens else None

    @property
    def bytes(self) -> int:
        """Bytes read and written under the eager profile."""
        return self._totals.counts.bytes_read + self._totals.counts.bytes_written

    @property
    def seconds(self) -> float | None:
        """Predicted time by the timing model of the named device (docs/cost.md); None unless a device was named."""
        return seconds_or_none(self._totals.seconds)

    @property
    def unknown(self) -> dict[str, int]:
        """Operators without a formula and how often they run; empty when everything was counted."""
        return {entry["op"]: entry["nodes"] for entry in self.to_dict()["unknown"]}

    @property
    def metrics(self) -> dict[str, Metric]:
        """Totals of metrics of your own (:func:`fxcost.metric`), by name."""
        return _metrics(self.to_dict()["totals"])

    def _rows(self, by: str) -> list[dict[str, Any]]:
        return self.to_dict(by)["rows"]

    def by_op(self) -> dict[str, Row]:
        """Rows by operator, most FLOPs first."""
        return {row["name"]: Row._from_json(row) for row in self._rows("op")}

    def by_module(self) -> dict[str, Row]:
        """Rows by qualified module name, a module's row including those below it; ``""`` is the whole model."""
        return {row["name"]: Row._from_json(row) for row in self._rows("module")}

    def module(self, name: str) -> Row:
        """The row of one module."""
        rows = self.by_module()
        if name not in rows:
            raise FxcostError(f"module {name!r}\n  expected: a qualified name such as {list(rows)[-1]!r}", "USAGE")
        return rows[name]

    def nodes(self) -> list[Row]:
        """Rows of all nodes in execution order."""
        return [Row._from_json(row) for row in self._rows("node")]

    def formula(self, quantity: str = "flops") -> str:
        """A total as an exact formula in the dynamic dimensions, ``"2*batch*seq*(123 + seq)"``: ``flops``, ``macs``,
        ``matrix_flops``, ``vector_flops``, ``transcendentals``, ``int_ops``, ``bytes``, ``bytes_read``,
        ``bytes_written``, ``kernels`` or ``params``. Empty when there is none."""
        return Formula(self.program, quantity).text

    def to_dict(self, by: str = "module") -> dict[str, Any]:
        """The JSON report (docs/report.schema.json) as Python data."""
        if by not in self._json:
            self._json[by] = self._analysis.report(by)
        return self._json[by]

    def render(self, **options: Any) -> str:
        """The report as text: ``format``, ``by``, ``sort``, ``root``, ``depth``, ``top``, ``raw``, ``unfold``,
        ``memory``, ``own`` (FLOPs of each module without those below it)."""
        return self._analysis.render(**options)

    def trace(
        self,
        format: str = "chrome",
        *,
        axis: str | None = None,
        by: str | None = None,
        root: str | None = None,
        fusion: str | None = None,
    ) -> builtins.bytes:
        """The run step by step as a file for other tools: ``chrome`` (Perfetto), ``speedscope``, ``pprof``. ``axis``
        is ``seconds``, ``flops`` or ``bytes``; ``fusion`` names a profile, whose kernels are then the steps
        (docs/traces.md)."""
        if fusion is None:
            return self._analysis.render_bytes(format=format, axis=axis, by=by, root=root)
        self._analysis.set("profile", fusion)
        try:
            return self._analysis.render_bytes(format=format, axis=axis, by=by, root=root)
        finally:
            self._analysis.set("profile", "eager")

    def partition(self, stages: int, *, memory_bytes: int | None = None, slack: float = 0.01) -> Partition:
        """The program cut into stages of a pipeline, balanced by the times of the named device, each within
        ``memory_bytes`` (that device's memory by default, -1: no limit); docs/partition.md."""
        from .partitions import Partition

        return Partition(self._analysis, stages, memory_bytes, slack)

    def __str__(self) -> str:
        return self.render()

    def __repr__(self) -> str:
        return (
            f"<fxcost.Report: {self.flops:,} FLOPs, {self.params:,} parameters, {len(self.unknown)} unknown operators>"
        )

    def _repr_html_(self) -> str:
        style = "font-family: monospace; line-height: 1.25; overflow-x: auto"
        return f'<pre style="{style}">{html.escape(str(self))}</pre>'


def _at(program: Program, input_shapes: Mapping[str, Any] | None) -> Program:
    """The program at these sizes; a graph of torch.fx without shapes, whose inputs may have sizes, resolved."""
    info = program.info()
    if input_shapes or (info.route == b"symbolic_trace" and info.dialect == b"fx"):
        return program.at(**(input_shapes or {}))
    return program


def open(
    path: str | os.PathLike[str],
    device: str | None = None,
    dims: Mapping[str, int] | None = None,
    *,
    input_shapes: Mapping[str, Any] | None = None,
    formulas: Iterable[Formulas] = (),
    ignore_ops: Iterable[str] = (),
    ignore_modules: Iterable[str] = (),
    scale: Mapping[str, float | str] | None = None,
    optimizer: str | None = None,
) -> Report:
    """The report of a .fxir file; the arguments are those of :func:`analyze`."""
    corrections = Corrections(formulas, ignore_ops, ignore_modules, scale or {})
    return Report(_at(Program.open(path), input_shapes), device, dims, corrections, optimizer)


def analyze(
    model: Any,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    dynamic_shapes: Any = None,
    device: str | None = None,
    dims: Mapping[str, int] | None = None,
    input_shapes: Mapping[str, Any] | None = None,
    formulas: Iterable[Formulas] = (),
    ignore_ops: Iterable[str] = (),
    ignore_modules: Iterable[str] = (),
    scale: Mapping[str, float | str] | None = None,
    optimizer: str | None = None,
    **options: Any,
) -> Report:
    """Captures a model (anything that :func:`fxcost.capture` takes) and reports what it costs.

    ``args`` and ``kwargs`` are example inputs; the analysis executes nothing. ``device`` names an entry of ``fxcost
    devices`` and adds predicted seconds; ``dims`` gives sizes of dynamic dimensions by name; ``input_shapes`` gives
    inputs other sizes than were captured, ``{"x": (1, 3, 64, 64)}``, which a graph of torch.fx without shapes needs.
    ``formulas`` are formulas of your own (:func:`fxcost.formula`, :func:`fxcost.metric`, or paths of text files),
    ``ignore_ops`` and ``ignore_modules`` name what is left out, ``scale`` multiplies the counts of operators; reports
    say so. ``optimizer`` counts a step of it besides: sgd, momentum, nesterov, adam, adamw, adafactor or lion.
    Where torch.export fails, what the model runs is recorded and the report says so; ``route="export"``,
    ``route="record"`` or ``route="submodules"`` forces one, ``method="generate"`` (or a function) records that instead
    of forward.
    Raises FxcostError when the model cannot be captured.
    """
    from .ladder import capture_any
    from .versions import check

    check()
    captured = capture_any(model, args, dict(kwargs or {}), dynamic_shapes=dynamic_shapes, **options)
    program = Program.from_bytes(captured.to_bytes(), type(model).__name__)
    corrections = Corrections(formulas, ignore_ops, ignore_modules, scale or {})
    return Report(_at(program, input_shapes), device, dims, corrections, optimizer)
