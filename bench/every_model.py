"""Every model of the tests under the default convention: what has no FLOP formula, and whether the rows of its report
by node, operator and module add up, in every column: python bench/every_model.py [--only GROUP ...]

Every model is captured as its tests capture it: in evaluation, in training, as a training step, or recorded. Each
operator that has no formula is listed with its nodes and the reason. Exits with 1 when one has no reason here, or a sum
is wrong. Takes some minutes. Models of torchvision need the peers' environment (tests/peers/setup.sh).
"""

from __future__ import annotations

import argparse
import collections
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "python"), str(ROOT / "tests" / "peers")]

import torch  # noqa: E402
from sums import disagreements  # noqa: E402

import fxcost  # noqa: E402
from fxcost.binding import Analysis, Program  # noqa: E402
from fxcost.conventions import conventions  # noqa: E402
from fxcost.errors import FxcostError, first_line  # noqa: E402
from fxcost.ladder import capture_any  # noqa: E402

WHY = {
    "quantized.linear_dynamic.default": "a kernel of packed integers; its weights have no sizes here",
    "aten.unique_dim.default": "comparing slices ends at the first difference, which is data",
    "aten.poisson.default": "sampling whose work depends on the data",
    "aten.binomial.default": "sampling whose work depends on the data",
    "aten.linalg_matrix_exp.default": "the degree of the approximation follows from the norm, which is data",
    "torch_attn._varlen_attn.default": "lengths of sequences are data: name them with --sequences",
    "higher_order.while_loop": "how often it runs is data: say it with --dim NAME_trips=N",
}
OWN = "fxcost_alias."  # operators that a test registers and gives no formula
Captured = tuple[str, Callable[[], bytes]]
TOOLS = [convention.name for convention in conventions()[1:]]  # taken in turn: each adds a column


def _architectures() -> Iterator[Captured]:
    from shape_models import models

    for _, name, build in models():
        for mode, (train, kind) in {
            "eval": (False, "forward"),
            "train": (True, "forward"),
            "step": (True, "train"),
        }.items():
            yield (
                f"{name} ({mode})",
                lambda b=build, t=train, k=kind: b().capture(train=t, grad=t, mode=k).to_bytes(),
            )


def _programs() -> Iterator[Captured]:
    # torchvision, as late as can be: transformers takes another way where it finds it
    sys.path.extend(map(str, (ROOT / "build" / "peers" / "common").glob("lib/python3*/site-packages")))
    from programs import PROGRAMS

    def capture(build: Any) -> bytes:
        model, args = build()
        with torch.no_grad():
            return fxcost.capture(model.eval(), args).to_bytes()

    for name, build in PROGRAMS.items():
        yield name, lambda b=build: capture(b)


def _training() -> Iterator[Captured]:
    from training_models import MODELS

    def capture(build: Any, train: bool) -> bytes:
        model, kwargs = build()
        return fxcost.capture(model.train(train), (), kwargs, mode="train").to_bytes()

    for name, build in MODELS.items():
        for train in (False, True):
            yield f"{name} ({'train' if train else 'eval'})", lambda b=build, t=train: capture(b, t)


def _aliasing() -> Iterator[Captured]:
    from alias_programs import CASES

    def capture(case: Any) -> bytes:
        model, args = case.make()
        with torch.set_grad_enabled(not case.no_grad):
            return fxcost.capture(
                model, args, dynamic_shapes={"args": case.dynamic} if case.dynamic else None
            ).to_bytes()

    for case in CASES:
        yield case.name, lambda c=case: capture(c)


def _odd() -> Iterator[Captured]:
    import odd_models

    def capture(build: Any) -> bytes:
        model, args = build()
        with torch.no_grad():
            return capture_any(model.eval(), args).to_bytes()

    for build in (odd_models.branch, odd_models.loop, odd_models.item, odd_models.hook, odd_models.quantised):
        yield build.__name__, lambda b=build: capture(b)


def _functions() -> Iterator[Captured]:
    import fx_models

    def capture(make: Any, sizes: Any) -> bytes:
        return fxcost.capture(make().eval(), (), fx_models.inputs(sizes)).to_bytes()

    for name, (make, many) in fx_models.MODELS.items():
        yield name, lambda m=make, s=many[0]: capture(m, s)


GROUPS = {
    "architectures": _architectures,
    "peers": _programs,
    "training": _training,
    "aliasing": _aliasing,
    "odd": _odd,
    "fx": _functions,
}


def _with_a_tool(program: Program, tool: str) -> Analysis:
    """An analysis under the convention of a tool, or of another one where it cannot say anything about the program (a
    step without the calls of Python functions that it replaces)."""
    analysis = Analysis(program, convention=tool, device="h100-sxm")
    try:
        analysis.totals()
    except FxcostError:
        analysis.set("convention", "flop_counter")
    return analysis


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=GROUPS, default=list(GROUPS))
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    nodes: collections.Counter[str] = collections.Counter()
    where: dict[str, list[str]] = collections.defaultdict(list)
    counted: set[str] = set()  # operators with a formula
    sized: set[str] = set()  # operators without a count where all sizes were known
    captured = failed = complete = wrong = 0
    for group in options.only:
        for name, capture in GROUPS[group]():
            torch.manual_seed(0)
            try:
                data = capture()
            except Exception as error:  # noqa: BLE001  listed, whatever it is
                failed += 1
                print(f"{group}: {name}: not captured: {first_line(error)}", flush=True)
                continue
            program = Program.from_bytes(data, name)
            report = fxcost.Report(program)
            unknown = report.unknown
            counted.update(op for op in report.by_op() if op not in unknown)
            if not report.to_dict()["totals"]["unsized_values"]:
                sized.update(unknown)
            _, sums = disagreements(_with_a_tool(program, TOOLS[captured % len(TOOLS)]))
            for line in sums:
                print(f"{group}: {name}: {line}", flush=True)
            wrong += bool(sums)
            captured += 1
            complete += not unknown
            nodes.update(unknown)
            for op in unknown:
                where[op].append(f"{group}: {name}")
    reasons = WHY | {op: "an operator of the test's own" for op in nodes if op.startswith(OWN)}
    reasons |= dict.fromkeys(counted & nodes.keys() - sized, "how large its arguments are is data")
    unexplained = [op for op in nodes if op not in reasons]
    print(f"{captured} captures ({failed} not captured)")
    for op, count in nodes.most_common():
        reason = reasons.get(op, "NO REASON")
        print(f"{count:>6}  {op}: {reason}; {', '.join(where[op][:4])}{' ...' if len(where[op]) > 4 else ''}")
    print(
        f"{captured} captures, {complete} without an unknown operator; {len(nodes)} operators have no formula, "
        f"{len(unexplained)} of them without a reason; rows do not add up in {wrong}"
    )
    return int(bool(unexplained or wrong))


if __name__ == "__main__":
    sys.exit(main())
