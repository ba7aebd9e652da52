"""Shape, type and stride rules on the sample inputs of all of torch's operators (torch's own test database).

    python bench/shape_sweep.py [--only NAME ...] [--samples N] [--variants N] [--list]

Every sample of float32, of one integer type and of bool runs under fake tensors, and every ATen call that it makes is
recorded: as torch.export's training dialect keeps it, and below autograd, with its backward calls. The first samples
run again with their tensors permuted, in channels-last, strided, expanded and without elements, and in place. All
calls together are one program, whose recorded shapes, types and strides the rules are held against. Samples run on
real tensors too: where those disagree with fake ones, the operator is listed. Exits with 1 when fewer than 400
overloads are covered, or less than 99 % of the samples agree. Needs the package expecttest, which torch's database
imports.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "python"))

import torch
from operator_calls import Calls, PreDispatchRecorder, Recorder, Trace
from rule_results import Results, show
from torch._dispatch.python import enable_python_dispatcher
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.utils import _pytree as pytree

INTEGERS = (torch.int64, torch.int32, torch.uint8, torch.int16, torch.int8)


# ---- variants of a sample's tensors --------------------------------------------------------------------------------


def permuted(tensor: torch.Tensor) -> torch.Tensor:
    order = tuple(reversed(range(tensor.dim())))
    return tensor.permute(order).contiguous().permute(order)


def channels_last(tensor: torch.Tensor) -> torch.Tensor:
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return tensor.contiguous(memory_format=formats[tensor.dim()]) if tensor.dim() in formats else tensor


def strided(tensor: torch.Tensor) -> torch.Tensor:
    return torch.stack([tensor, tensor], -1)[..., 0] if tensor.dim() else tensor


def expanded(tensor: torch.Tensor) -> torch.Tensor:
    return tensor[:1].expand(tensor.shape) if tensor.dim() and tensor.shape[0] > 1 else tensor


VARIANTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "permuted": permuted,
    "channels_last": channels_last,
    "strided": strided,
    "expanded": expanded,
}


def is_plain(leaf: Any) -> bool:
    return isinstance(leaf, torch.Tensor) and leaf.layout == torch.strided and not leaf.is_quantized


def without_elements(leaves: list[Any]) -> list[Any]:
    """The first size of the first tensor is zero wherever it occurs."""
    first = next((leaf for leaf in leaves if is_plain(leaf) and leaf.dim()), None)
    if first is None:
        return leaves
    size = first.shape[0]
    return [
        torch.empty([0 if n == size else n for n in leaf.shape], dtype=leaf.dtype) if is_plain(leaf) else leaf
        for leaf in leaves
    ]


def copied(tensor: torch.Tensor) -> torch.Tensor:
    """A copy with the same strides: over the same elements where they repeat."""
    copy = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)
    return copy.copy_(tensor) if 0 not in copy.stride() else copy.zero_() if tensor.dtype == torch.bool else tensor


@dataclass
class Sample:
    operator: Any
    leaves: list[Any]
    spec: Any

    def changed(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Sample:
        return Sample(self.operator, [change(leaf) if is_plain(leaf) else leaf for leaf in self.leaves], self.spec)

    def empty(self) -> Sample:
        return Sample(self.operator, without_elements(self.leaves), self.spec)

    def run(self, leaves: list[Any] | None = None) -> Any:
        first, args, kwargs = pytree.tree_unflatten(self.leaves if leaves is None else leaves, self.spec)
        return self.operator(first, *args, **kwargs)


def sample_of(operator: Any, found: Any) -> Sample:
    leaves, spec = pytree.tree_flatten((found.input, tuple(found.args), dict(found.kwargs)))
    return Sample(operator, [leaf.detach() if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves], spec)


# ---- running --------------------------------------------------------------------------------------------------------


@dataclass
class Entry:
    """An entry of the database: of each sample the calls that it made."""

    samples: list[list[int]] = field(default_factory=list)
    failed: collections.Counter[str] = field(default_factory=collections.Counter)
    disagrees: collections.Counter[str] = field(default_factory=collections.Counter)  # fake and real


class Sweep:
    def __init__(self) -> None:
        self.calls = Calls()
        self.entries: dict[str, Entry] = collections.defaultdict(Entry)
        self.fake = FakeTensorMode(allow_non_fake_inputs=True, shape_env=ShapeEnv(), static_shapes=True)
        self.below, self.before = Recorder(), PreDispatchRecorder()

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        with enable_python_dispatcher(), self.before:
            yield

    def record(self, entry: Entry, sample: Sample, *, gradients: bool = False) -> list[tuple[str, list[Any]]] | None:
        """Runs a sample under fake tensors; what it called, or None where torch refuses it."""
        self.calls.current, self.calls.trace = [], []
        with self.fake, self.below:
            try:
                self.calls.busy = False
                leaves = [self.fake.from_tensor(leaf) if is_plain(leaf) else leaf for leaf in sample.leaves]
                if gradients:
                    for leaf in leaves:
                        if isinstance(leaf, torch.Tensor) and leaf.dtype.is_floating_point:
                            leaf.requires_grad_()
                self.below.calls = self.calls
                self.before.calls = None if gradients else self.calls
                with torch.set_grad_enabled(gradients):
                    result = sample.run(leaves)
                    if gradients:
                        self.differentiate(leaves, result)
            except Exception as error:  # noqa: BLE001  what torch does not run is not ours to judge
                entry.failed[type(error).__name__] += 1
                return None
            finally:
                self.below.calls = self.before.calls = None
        entry.samples.append(self.calls.current)
        return self.calls.trace

    def differentiate(self, leaves: list[Any], result: Any) -> None:
        inputs = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.requires_grad]
        outputs = [leaf for leaf in pytree.tree_leaves(result) if isinstance(leaf, torch.Tensor) and leaf.requires_grad]
        if inputs and outputs:
            ones = [torch.ones_like(output) for output in outputs]
            torch.autograd.grad(outputs, inputs, ones, allow_unused=True)

    def real(self, sample: Sample) -> list[tuple[str, list[Any]]] | None:
        """What a sample calls on real tensors; None where torch refuses it."""
        trace = Trace()
        leaves = [copied(leaf) if is_plain(leaf) else leaf for leaf in sample.leaves]
        self.before.calls = trace
        try:
            with torch.no_grad():
                sample.run(leaves)
        except Exception:  # noqa: BLE001
            return None
        finally:
            self.before.calls = None
        return trace.trace

    def compare(self, entry: Entry, fake: list[tuple[str, list[Any]]], real: list[tuple[str, list[Any]]]) -> None:
        if [op for op, _ in fake] != [op for op, _ in real]:
            return
        for (op, said), (_, found) in zip(fake, real, strict=True):
            if said != found and None not in said:
                pairs = list(zip(said, found, strict=True))
                parts = ("type", "sizes", "strides")
                what = next(name for at, name in enumerate(parts) if any(a[at] != b[at] for a, b in pairs))
                entry.disagrees[f"{op} {what}"] += 1
                return

    def both(self, entry: Entry, sample: Sample) -> None:
        """Fake tensors accept some calls that real ones refuse: those are no samples."""
        real = self.real(sample)
        if real is None:
            entry.failed["refused on real tensors"] += 1
            return
        fake = self.record(entry, sample)
        if fake is not None:
            self.compare(entry, fake, real)

    def entry(self, info: Any, limit: int, variants: int) -> None:
        name = info.name + ("." + info.variant_test_name if info.variant_test_name else "")
        entry = self.entries[name]
        integer = next((dtype for dtype in INTEGERS if dtype in info.dtypes), None)
        for dtype in (torch.float32, integer, torch.bool):
            if dtype is None or dtype not in info.dtypes:
                continue
            try:
                found = list(info.sample_inputs("cpu", dtype))
            except Exception as error:  # noqa: BLE001  some generators need a GPU or an optional package
                entry.failed[type(error).__name__] += 1
                continue
            found = spread(found, limit)
            chosen = {id(one) for one in spread(found, variants)}
            for one in found:
                self.one(entry, info, sample_of(info.op, one), dtype, id(one) in chosen)

    def one(self, entry: Entry, info: Any, sample: Sample, dtype: torch.dtype, thorough: bool) -> None:
        with torch.no_grad():
            if not thorough:
                self.record(entry, sample)
                return
            self.both(entry, sample)
            for change in VARIANTS.values():
                other = sample.changed(change)
                if any(a is not b for a, b in zip(sample.leaves, other.leaves, strict=True)):
                    self.both(entry, other)
            self.record(entry, sample.empty())  # some of torch's kernels crash on these
            if info.inplace_variant is not None:
                for change in (torch.Tensor.contiguous, permuted):
                    other = sample.changed(change)
                    self.both(entry, Sample(info.inplace_variant, other.leaves, other.spec))
        if dtype == torch.float32 and info.supports_autograd:
            self.record(entry, sample, gradients=True)


def spread(items: list[Any], count: int) -> list[Any]:
    """At most this many, the first and the last among them."""
    if count <= 0 or len(items) <= count:
        return items if count != 0 else []
    return [items[i * (len(items) - 1) // max(count - 1, 1)] for i in range(count)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], help="entries whose name contains one of these")
    parser.add_argument("--samples", type=int, default=-1, help="samples per entry and type, -1 for all")
    parser.add_argument("--variants", type=int, default=6, help="samples that run in variants, too")
    parser.add_argument("--all", action="store_true", help="list operators with complete rules, too")
    parser.add_argument("--save", type=Path, help="write the program here")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    from torch.testing._internal.common_methods_invocations import op_db

    sweep, start = Sweep(), time.perf_counter()
    with sweep.recording():
        for info in op_db:
            if not options.only or any(part in info.name for part in options.only):
                before = time.perf_counter()
                sweep.entry(info, options.samples, options.variants)
                if time.perf_counter() - before > 5:
                    print(f"{info.name}: {time.perf_counter() - before:.0f} s", file=sys.stderr)
    data = sweep.calls.to_bytes()
    if options.save:
        options.save.write_bytes(data)
    print(
        f"{time.perf_counter() - start:.0f} s to run, {len(sweep.calls.ops)} distinct calls, {len(data) / 1e6:.0f} MB"
    )
    results = Results(data, sweep.calls)
    return 0 if show(results, sweep.entries, details=options.all) else 1


if __name__ == "__main__":
    sys.exit(main())
