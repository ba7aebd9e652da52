"""Kernels of the profile inductor-cpu against the kernels that the installed Inductor schedules for the same models."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from ctypes import byref, c_uint32
from pathlib import Path
from typing import Any

import torch
from replicate import replicate

import fxcost
from checks import ROOT, Result, at_most, minimum
from fxcost.binding import Analysis, Program
from fxcost.columns import serialize
from fxcost.errors import first_line
from fxcost.fusion import kernels

sys.path.append(str(ROOT / "tests" / "inductor"))
import fused_models  # noqa: E402
import perf_programs  # noqa: E402
from corpus import PROGRAMS  # noqa: E402
from corpus_training import STEPS  # noqa: E402
from gpu import gpu_truth  # noqa: E402
from kernel_compare import Comparison, Totals, compare, operators  # noqa: E402
from truth import Truth, truth  # noqa: E402

PROFILE, GPU_PROFILE = "inductor-cpu", "inductor-triton"
BASELINES = ("eager", "spans")
Builders = dict[str, Callable[[], Any]]


def fusion_micro(folder: Path) -> Iterator[Result]:
    """Small programs, each about one decision of Inductor's lowering or scheduler; graphs as caught inside the compiler
    and as plain export lowers them."""
    yield from _against_inductor("small programs", PROGRAMS, folder, _Limits(None, 0.98, 0.98, None))


def fusion_models(folder: Path) -> Iterator[Result]:
    """Models of transformers and a U-Net, which were looked at while the pass was written."""
    yield from _against_inductor("models", fused_models.MODELS, folder, _Limits(0.01, 0.95, 0.97, 0.005))


def fusion_unseen(folder: Path) -> Iterator[Result]:
    """Models that were written down before any of them was compared. What is found is not to be mended after."""
    yield from _against_inductor("unseen models", fused_models.UNSEEN, folder, _Limits(0.02, 0.0, 0.97, None))


def fusion_training(folder: Path) -> Iterator[Result]:
    """Forward and backward graphs of a training step, caught inside the compiler: of models, and of small programs."""
    limits = _Limits(0.03, 0.0, 0.92, None)
    yield from _against_inductor("training steps of models", fused_models.TRAINED, folder, limits, train=True)
    yield from _against_inductor("small training steps", STEPS, folder, _Limits(None, 0.98, 0.98, None), train=True)


def fusion_gpu(folder: Path) -> Iterator[Result]:
    """The profile inductor-triton: numbers that PyTorch's own tests state, then the kernels that Inductor schedules for
    a GPU, which need not be there (tests/inductor/gpu.py)."""
    right = 0
    for one in perf_programs.ROWS:
        elements = perf_programs.gpu_elements(one, folder)
        right += elements == one.elements
        if elements != one.elements:
            print(f"     {one.name}: {elements} elements for {one.elements}: {one.miss or 'not explained'}")
    explained = sum(bool(one.miss) for one in perf_programs.ROWS)
    yield Result(
        f"elements moved by {len(perf_programs.ROWS)} programs of test_perf.py",
        f"{right} right, {explained} explained",
        "at least 45 right, the others explained",
        right >= 45 and right + explained == len(perf_programs.ROWS),
    )
    yield from _on_a_gpu("small programs", PROGRAMS, _Limits(0.03, 0.95, 0.95, 0.01))
    yield from _on_a_gpu("models", fused_models.MODELS, None)


def _on_a_gpu(what: str, builders: Builders, limits: _Limits | None) -> Iterator[Result]:
    totals, none = Totals(), []
    for name, build in builders.items():
        try:
            graph = gpu_truth(*build())
        except Exception as error:
            none.append(name)
            print(f"     {name}: no schedule without a GPU: {type(error).__name__}: {first_line(error)}")
            continue
        assert graph.program is not None
        one = compare(name, graph, graph.program.to_bytes(), GPU_PROFILE)
        totals.add(one)
        for miss in one.misses():
            print(f"     {miss}")
    figure = f"{totals}" + (f"; without a schedule: {', '.join(none)}" if none else "")
    holds = limits is None or limits.hold(totals)
    yield Result(f"{what} on a GPU, {totals.programs} graphs", figure, str(limits or "stated"), holds)


def lowered_views(_: Path) -> Iterator[Result]:
    """The lowered view of plain export holds the operators that torch.compile fuses, in the same number."""
    for name, build in fused_models.MODELS.items():
        module, inputs = build()
        theirs: Counter[str] = Counter()
        for graph in truth(module, inputs).graphs:
            theirs += operators(graph)
        ours = operators(_exported(module, inputs))
        difference = [f"{op} {ours[op]} for {theirs[op]}" for op in sorted(ours | theirs) if ours[op] != theirs[op]]
        known = _OTHER_GRAPHS.get(name, "")
        figure = "equal" if not difference else ", ".join(difference) + (f" ({known})" if known else "")
        yield Result(
            f"{name}: {theirs.total()} nodes that torch.compile fuses",
            figure,
            "the same operators, or a known difference",
            not difference or bool(known),
        )


# Models that torch.compile sees otherwise than torch.export does.
_OTHER_GRAPHS = {
    "deberta": "the square root of torch.tensor(size) is folded by Dynamo into a constant, by export into an operator",
}
# Programs of which a kernel is known to differ, and why.
_CAUSES = {
    **_OTHER_GRAPHS,
    "adam_in_place": "Inductor counts as read what another kernel has made of memory that is then written over",
}


def _cause(name: str) -> str:
    return _CAUSES.get(name, "the cause is not known")


def fusion_speed(folder: Path) -> Iterator[Result]:
    """One analysis of BERT base's lowered graph, beside the time that torch.compile takes for the same decisions."""
    module, inputs = fused_models.MODELS["bert"]()
    found = truth(module, inputs)
    program = Program.from_bytes(_exported(module, inputs), "bert")
    seconds = minimum(lambda: _fuse(program))
    yield at_most("fusion of BERT base, with all facts before it", 1e3 * seconds, 3, "ms")
    read = minimum(lambda: kernels(program, PROFILE))
    yield Result("the same with its kernels read into Python", f"{1e3 * read:.2f} ms", "stated", True)
    caught = found.graphs[0].program
    assert caught is not None
    large = Program.from_bytes(serialize(replicate(caught.to_bytes(), 100_000, returned=True)), "copies of bert")
    yield at_most(
        "fusion of 100,000 nodes, copies of it that are all returned", minimum(lambda: _fuse(large), 3), 2, "s"
    )
    ratio = found.seconds / seconds
    yield Result("torch.compile up to its schedule, beside it", f"{ratio:,.0f} times as long", "stated", True)


def _fuse(program: Program) -> None:
    Analysis(program, profile=PROFILE).call("fxc_analysis_kernel_count", byref(c_uint32()))


class _Limits:
    def __init__(self, count: float | None, members: float, of_kernels: float, total: float | None) -> None:
        self.count, self.members, self.of_kernels, self.total = count, members, of_kernels, total

    def __str__(self) -> str:
        count = "counts equal" if self.count is None else f"count within {self.count:.0%}"
        rest = [f"member sets {self.members:.0%}"] if self.members else []
        rest += [f"bytes {self.of_kernels:.0%}"]
        rest += [f"sum within {self.total:.1%}"] if self.total is not None else []
        return ", ".join([count, *rest])

    def hold(self, totals: Totals) -> bool:
        counts = totals.count_error <= self.count if self.count is not None else totals.equal_counts == totals.programs
        return (
            counts
            and totals.member_share >= self.members
            and totals.byte_share >= self.of_kernels
            and (self.total is None or totals.byte_error <= self.total)
        )


def _against_inductor(
    what: str, builders: Builders, folder: Path, limits: _Limits, train: bool = False
) -> Iterator[Result]:
    inside, exported = Totals(), Totals()
    baselines = {profile: Totals() for profile in BASELINES}
    misses: list[str] = []
    start = time.perf_counter()
    for name, build in builders.items():
        module, inputs = build()
        module.train(train)
        found = truth(module, inputs, train=train)
        for one in _inside(name, found, PROFILE):
            inside.add(one)
            misses += [f"inside the compiler: {line} ({_cause(name)})" for line in one.misses()]
        for profile, totals in baselines.items():
            for one in _inside(name, found, profile):
                totals.add(one)
        if not train and len(found.graphs) == 1:
            module, inputs = build()
            one = compare(name, found.graphs[0], _exported(module, inputs), PROFILE)
            exported.add(one)
            misses += [f"plain export: {line} ({_cause(name)})" for line in one.misses()]
    (folder / f"misses of {what}.txt").write_text("\n".join(misses))
    for line in misses:
        print(f"     {line}")
    yield Result(
        f"{what}, {inside.programs} graphs caught inside the compiler", str(inside), str(limits), limits.hold(inside)
    )
    if not train:
        yield Result(f"{what}, {exported.programs} by plain export", str(exported), str(limits), limits.hold(exported))
    for profile, totals in baselines.items():
        yield Result(f"{what}, baseline {profile}", str(totals), "stated", True)
    yield Result(f"{what}, time", f"{time.perf_counter() - start:.0f} s", "stated", True)


def _inside(name: str, found: Truth, profile: str) -> Iterator[Comparison]:
    for number, graph in enumerate(found.graphs):
        assert graph.program is not None
        label = name if len(found.graphs) == 1 else f"{name}/{number}"
        yield compare(label, graph, graph.program.to_bytes(), profile)


def _exported(module: torch.nn.Module, inputs: tuple[Any, ...]) -> bytes:
    with torch.no_grad():
        return fxcost.capture(module, inputs, lowered=True).to_bytes()
