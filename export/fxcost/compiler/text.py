"""The report of a compiled program as text."""

from __future__ import annotations

from pathlib import Path

from .program import CompiledProgram

_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K"))


def text_of(program: CompiledProgram) -> str:
    graphs, parts = program.graphs, program.dynamo_graphs
    kernels = program.kernels
    lines = [
        "compiled program",
        f"graphs      {len(parts)} of Dynamo, {len(graphs)} compiled by {program.delegate}",
        f"FLOPs       {_short(program.flops)}, of these {_short(program.matrix_flops)} of matrix products",
    ]
    if kernels is not None:
        lines.append(f"kernels     {kernels} under the profile inductor-cpu")
    share = program.analysis_seconds / program.compile_seconds if program.compile_seconds else 0.0
    lines.append(
        f"compiling   {program.compile_seconds:.2f} s without Dynamo, of these {program.analysis_seconds:.2f} s "
        f"({100 * share:.1f} %) by fxcost"
    )
    if program.unknown:
        lines.append("unknown     " + ", ".join(f"{op} ×{count}" for op, count in program.unknown.items()))
    lines += ["", f"{'graph':<8}{'part':<11}{'nodes':>6}{'kernels':>9}{'FLOPs':>10}{'bytes':>10}  function"]
    frames = {frame.compile_id: frame for frame in program.frames}
    for graph in graphs:
        frame = frames[graph.source.compile_id]
        where = f"{frame.function} {_file(frame.place)}".strip()
        count = "" if graph.kernels is None else str(graph.kernels)
        lines.append(
            f"{frame.compile_id:<8}{graph.part:<11}{graph.report.program.info().nodes:>6}{count:>9}"
            f"{_short(graph.report.flops):>10}{_short(graph.report.bytes):>10}  {where}"
        )
    lines += ["", f"graph breaks: {len(program.breaks)}"]
    lines += [f"  {_file(place)}: {reason}" for place, reason in program.breaks]
    lines.append(f"recompiles: {len(program.recompiles)}")
    lines += [
        f"  {frame.compile_id} {frame.function} {_file(frame.place)}: {frame.recompiled or 'reason not known'}"
        for frame in program.recompiles
    ]
    return "\n".join([*lines, "", *_modules(program)])


def _modules(program: CompiledProgram) -> list[str]:
    rows = program.by_module()
    functions = {function for function, _ in rows}
    width = max([len(name) for _, name in rows] + [8]) + 2
    lines = [f"{'module':<{width}}{'forward':>10}{'backward':>10}"]
    shown = None
    for (function, name), counts in rows.items():
        if len(functions) > 1 and function != shown:
            lines.append(f"in {_file(function)}")
        shown = function
        lines.append(
            f"{name or '(function)':<{width}}{_short(counts.get('forward', 0)):>10}"
            f"{_short(counts.get('backward', 0)):>10}"
        )
    return lines


def _short(number: float) -> str:
    for unit, letter in _UNITS:
        if abs(number) >= unit:
            return f"{number / unit:.3g} {letter}"
    return f"{number:g}"


def _file(place: str) -> str:
    """A place without the folders of its file."""
    head, _, path = place.rpartition(" ")
    return f"{head} {Path(path).name}".strip()
