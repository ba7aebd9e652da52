"""Matrix FLOPs on sample inputs of all of torch's operators (torch's own test database).

    python bench/ops_sweep.py [--in-place] [--samples 4] [--only NAME]

Each sample is captured alone. Matrix FLOPs must be those that FlopCounterMode sees, unless some operator is unknown.
Where FlopCounterMode sees none and fxcost counts some, the operator is listed. Shapes have a sweep of their own
(bench/shape_sweep.py). Needs the package expecttest, which torch's database imports; takes some minutes. Exits with 1
on any difference.
"""

from __future__ import annotations

import argparse
import collections
import logging
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "python"))

import torch
from alias_sweep import Call, samples_of
from costs import torch_matrix_flops

import fxcost
from fxcost.binding import Program
from fxcost.report import Report


def judge(call: Call, unseen: set[str], unknown: collections.Counter[str]) -> str:
    """What became of one sample; anything that begins with "differs" is a failure."""
    if not call.inputs:
        return "no tensor inputs"
    try:
        with torch.no_grad():
            captured = fxcost.capture(call, call.inputs).to_bytes()
            expected = torch_matrix_flops(call, call.inputs)
    except Exception:  # noqa: BLE001  what torch does not export or run is not ours to judge
        return "does not export or run"
    program = Program.from_bytes(captured)
    try:
        report = Report(program)
    except fxcost.FxcostError as error:
        return f"differs: {error}"
    ops = {line.split()[1] for line in program.text().splitlines() if line.startswith("op ")}
    if report.unknown:
        unknown.update(report.unknown.keys())
        return "unknown operators"
    if report.matrix_flops != expected and expected == 0:
        unseen.update(ops)
        return "not seen by FlopCounterMode"
    solvers = sum(row.matrix_flops for op, row in report.by_op().items() if op.startswith("aten.linalg_"))
    if report.matrix_flops - solvers <= expected < report.matrix_flops:
        unseen.update(ops)
        return "seen in part by FlopCounterMode"  # of a pseudo-inverse the product, and not the decomposition
    if report.matrix_flops != expected:
        return f"differs: {report.matrix_flops} matrix FLOPs, FlopCounterMode says {expected}, in {sorted(ops)}"
    return "agrees, no matrix work" if expected == 0 else "agrees"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--in-place", action="store_true", help="the in-place variants")
    parser.add_argument("--samples", type=int, default=4, help="samples per operator")
    parser.add_argument("--only", default="", help="operators whose name contains this")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    from torch.testing._internal.common_methods_invocations import op_db

    counts: collections.Counter[str] = collections.Counter()
    unknown: collections.Counter[str] = collections.Counter()
    unseen: set[str] = set()
    for info in op_db:
        operator = info.inplace_variant if options.in_place else info.op
        if operator is None or options.only not in info.name:
            continue
        try:
            samples = samples_of(info, options.samples)
        except Exception:  # noqa: BLE001  some generators need a GPU or an optional package
            counts["without samples"] += 1
            continue
        for sample in samples:
            verdict = judge(Call(operator, sample), unseen, unknown)
            if verdict.startswith("differs"):
                print(f"{info.name} {info.variant_test_name}: {verdict}", flush=True)
            counts[verdict.partition(":")[0]] += 1
    print("not seen by FlopCounterMode:", ", ".join(sorted(unseen)))
    print("unknown:", ", ".join(op for op, _ in unknown.most_common()))
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))
    return 1 if counts["differs"] else 0


if __name__ == "__main__":
    sys.exit(main())
