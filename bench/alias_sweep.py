"""The alias pass against real tensors on sample inputs of all of torch's operators (torch's own test database).

    python bench/alias_sweep.py [--in-place] [--samples 3] [--only NAME]

Each sample is exported alone, run on real tensors, and compared: aliasing by storage address, writes by bytes. Needs
the package expecttest, which torch's database imports; takes about ten minutes. Exits with 1 on any difference.
"""

from __future__ import annotations

import argparse
import collections
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "python"))

import alias_oracle as oracle
import torch
import torch.utils._pytree as pytree

import fxcost


class Call(torch.nn.Module):
    """One operator on one sample: strided tensors are inputs, everything else is constant."""

    def __init__(self, operator: Any, sample: Any) -> None:
        super().__init__()
        self.operator = operator
        leaves, self.spec = pytree.tree_flatten((sample.input, tuple(sample.args), dict(sample.kwargs)))
        self.positions = [i for i, leaf in enumerate(leaves) if is_plain(leaf)]
        self.inputs = tuple(leaves[i].detach() for i in self.positions)
        self.constants = [None if is_plain(leaf) else leaf for leaf in leaves]

    def forward(self, *tensors: torch.Tensor) -> Any:
        leaves = list(self.constants)
        for position, tensor in zip(self.positions, tensors, strict=True):
            leaves[position] = tensor
        first, args, kwargs = pytree.tree_unflatten(leaves, self.spec)
        return self.operator(first, *args, **kwargs)


def is_plain(leaf: Any) -> bool:
    return isinstance(leaf, torch.Tensor) and leaf.layout == torch.strided and leaf.numel() > 0


def judge(call: Call) -> str:
    """What became of one sample; anything that begins with "differs" is a failure."""
    if not call.inputs:
        return "no tensor inputs"
    try:
        with torch.no_grad():
            program = torch.export.export(call, call.inputs)
    except Exception:  # noqa: BLE001  what torch does not export is not ours to judge
        return "does not export"
    said = oracle.Said(fxcost.capture(program).to_bytes(), oracle.input_names(program))
    try:
        truth = oracle.run_truth(program, call.inputs)
    except Exception:  # noqa: BLE001
        return "does not run"
    if 0 in truth.storage_of().values():
        return "empty tensors, which have no address"
    if oracle.partition(said.memory) != oracle.partition(truth.storage_of()):
        return f"differs: aliasing in {[str(n.target) for n in program.graph.nodes if n.op == 'call_function']}"
    try:
        oracle.check_writes(said, truth)
    except AssertionError as error:
        return f"differs: writes, {error}"
    return "agrees"


def samples_of(info: Any, count: int) -> list[Any]:
    dtype = torch.float32 if torch.float32 in info.dtypes else sorted(info.dtypes, key=str)[0]
    found = list(info.sample_inputs("cpu", dtype))
    return found if len(found) <= count else [found[i * (len(found) - 1) // max(count - 1, 1)] for i in range(count)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--in-place", action="store_true", help="the in-place variants")
    parser.add_argument("--samples", type=int, default=3, help="samples per operator")
    parser.add_argument("--only", default="", help="operators whose name contains this")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    from torch.testing._internal.common_methods_invocations import op_db

    counts: collections.Counter[str] = collections.Counter()
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
            verdict = judge(Call(operator, sample))
            if verdict.startswith("differs"):
                print(f"{info.name} {info.variant_test_name}: {verdict}")
            counts[verdict.partition(":")[0]] += 1
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))
    return 1 if counts["differs"] else 0


if __name__ == "__main__":
    sys.exit(main())
