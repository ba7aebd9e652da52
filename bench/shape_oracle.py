"""Shape rules against the recording on many architectures: python bench/shape_oracle.py [--only NAME ...] [--modes ...]

Every value of every graph: what the rules derive (sizes, element type, strides) must be what torch's fake tensors said
during the capture, and what has no rule is listed by operator. Each model is captured in evaluation without gradients,
in training with gradients, and as a training step, forward and backward. Sizes that are data have no value in a
recording: a value is chosen for them, and they are counted in a column of their own. Takes some minutes. Exits with 1
when a rule contradicts the recording.
"""

from __future__ import annotations

import argparse
import collections
import logging
import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "python"))

import torch
from shape_models import Build, models
from shape_sources import Sources, sources_of

from fxcost.errors import first_line

# train, grad, and what Model.capture calls mode: "step" is forward and backward of a training step.
MODES = {"eval": (False, False, "forward"), "train": (True, True, "forward"), "step": (True, True, "train")}
ROW = "{:<31} {:<5} {:>6} {:>7} {:>7} {:>7} {:>7} {:>5}  {}"
HEAD = ("model", "mode", "values", "sizes", "dtype", "strides", "agree", "data", "operators whose values are recorded")


def judge(name: str, build: Build, mode: str) -> Sources | str:
    """What became of one model; the reason where it does not capture."""
    train, grad, kind = MODES[mode]
    torch.manual_seed(0)
    try:
        data = build().capture(train=train, grad=grad, mode=kind).to_bytes()
    except Exception as error:  # noqa: BLE001  listed, whatever it is
        return first_line(error) + reason(str(error))
    return sources_of(data, name)


def reason(message: str) -> str:
    lines = [line.strip() for line in message.splitlines()]
    return next((f" ({line})" for line in lines if line.startswith("reason:")), "")


def per_cent(part: int, whole: int) -> str:
    """Two digits, and 100 only for all of them."""
    return "100" if part == whole else f"{min(100 * part / whole, 99.99):.2f}"


def row_of(name: str, mode: str, found: Sources) -> str:
    missing = found.recorded | found.untyped | found.unlaid
    notes = [f"{op} {count}" for op, count in missing.most_common()]
    shares = [per_cent(count, found.values) for count in (found.rule, found.dtype, found.strides)]
    agree = per_cent(found.rule - len(found.contradictions), found.rule)
    return ROW.format(name, mode, found.values, *shares, agree, found.data or "", ", ".join(notes)).rstrip()


def lines_of(counts: collections.Counter[str]) -> list[str]:
    return [f"{count:>6}  {op}" for op, count in counts.most_common() if count]


def summary(total: Sources, models: int, examples: int, contradictions: int, failed: int) -> str:
    before = total.share(total.rule - total.data)
    return (
        f"{models} models and {examples} export examples, {total.values} values, "
        f"by rule {total.share():.2f} % of the shapes ({before:.2f} % before a value is given to sizes that are data), "
        f"{total.share(total.dtype):.2f} % of the dtypes, {total.share(total.strides):.2f} % of the strides; "
        f"{contradictions} contradictions, {failed} not captured"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], help="models or families with these names")
    parser.add_argument("--modes", nargs="*", choices=MODES, default=list(MODES))
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)

    total, failed, contradictions, captured = Sources(), [], [], set()
    print(
        "values that nodes compute; per cent of them whose sizes, dtype and strides a rule tells; per cent of what is"
    )
    print("told that the recording agrees with; values whose size is data")
    print(ROW.format(*HEAD))
    shown = ""
    for family, name, build in models():
        if options.only and name not in options.only and family not in options.only:
            continue
        if family != shown:
            print(f"-- {family}")
            shown = family
        for mode in options.modes:
            found = judge(name, build, mode)
            if isinstance(found, str):
                failed.append(f"{name} ({mode}): {found}")
                print(f"{name:<31} {mode:<5} not captured", flush=True)
                continue
            captured.add((family, name))
            total.add(found)
            print(row_of(name, mode, found), flush=True)
            contradictions += [f"{name} ({mode}): {line}" for line in found.contradictions]
    for title, lines in (
        ("contradictions", contradictions),
        ("not captured", failed),
        ("sizes as recorded, values", lines_of(total.recorded)),
        ("dtype as recorded, values", lines_of(total.untyped)),
        ("strides as recorded, values", lines_of(total.unlaid)),
        ("operators without a FLOP formula, nodes", lines_of(total.unknown)),
    ):
        print(f"\n{title}: {'' if lines else 'none'}")
        print(*lines, sep="\n", end="\n" if lines else "")
    shipped = sum(family == "torch export example" for family, _ in captured)
    print()
    print(summary(total, len(captured) - shipped, shipped, len(contradictions), len(failed)))
    return int(bool(contradictions))


if __name__ == "__main__":
    sys.exit(main())
