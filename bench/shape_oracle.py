"""Shape rules against the recording on many architectures: python bench/shape_oracle.py [--only NAME ...] [--modes ...]

Every value of every graph: what the rules derive (sizes, element type, strides) must be what torch's fake tensors said
during the capture, and what has no rule is listed by operator. Each model is captured in evaluation without gradients
and in training with gradients. Takes some minutes. Exits with 1 when a rule contradicts the recording.
"""

from __future__ import annotations

import argparse
import collections
import logging
import os
import sys
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "python"))

import torch
from shape_models import Build, models
from shape_sources import Sources, sources_of

from fxcost.errors import first_line

MODES = {"eval": (False, False), "train": (True, True)}
ROW = "{:<32} {:<6} {:>7} {:>7} {:>7} {:>7} {:>8} {:>14} {:>8} {:>8}"


def judge(name: str, build: Build, mode: str) -> Sources | str:
    """What became of one model; the reason where it does not capture."""
    train, grad = MODES[mode]
    torch.manual_seed(0)
    try:
        data = build().capture(train=train, grad=grad).to_bytes()
    except Exception as error:  # noqa: BLE001  listed, whatever it is
        return first_line(error) + reason(str(error))
    return sources_of(data, name)


def reason(message: str) -> str:
    lines = [line.strip() for line in message.splitlines()]
    return next((f" ({line})" for line in lines if line.startswith("reason:")), "")


def lines_of(counts: collections.Counter[str]) -> list[str]:
    return [f"{count:>6}  {op}" for op, count in counts.most_common() if count]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], help="models or families with these names")
    parser.add_argument("--modes", nargs="*", choices=MODES, default=list(MODES))
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)

    total, failed, contradictions, captured = Sources(), [], [], set()
    print("values, and how many of them have a shape, a dtype and strides by rule")
    print(
        ROW.format(
            "model", "mode", "values", "shape", "dtype", "stride", "recorded", "contradictions", "unknown", "seconds"
        )
    )
    shown = ""
    for family, name, build in models():
        if options.only and name not in options.only and family not in options.only:
            continue
        if family != shown:
            print(f"-- {family}")
            shown = family
        for mode in options.modes:
            start = time.perf_counter()
            found = judge(name, build, mode)
            seconds = f"{time.perf_counter() - start:.1f}"
            if isinstance(found, str):
                failed.append(f"{name} ({mode}): {found}")
                print(f"{name:<32} {mode:<6} not captured", flush=True)
                continue
            captured.add((family, name))
            total.add(found)
            numbers = (found.values, found.rule, found.dtype, found.strides, found.recorded.total())
            print(
                ROW.format(name, mode, *numbers, int(bool(found.contradiction)), found.unknown.total(), seconds),
                flush=True,
            )
            if found.contradiction:
                contradictions.append(f"{name} ({mode}): {found.contradiction}")
    for title, lines in (
        ("contradictions", contradictions),
        ("not captured", failed),
        ("operators whose values rest on the recording", lines_of(total.recorded)),
        ("operators with a shape rule, dtype or strides as recorded", lines_of(total.untold)),
        ("operators without a FLOP formula, nodes", lines_of(total.unknown)),
    ):
        print(f"\n{title}: {'' if lines else 'none'}")
        print(*lines, sep="\n", end="\n" if lines else "")
    shipped = sum(family == "torch export example" for family, _ in captured)
    sized = total.values - total.unsized
    print(
        f"\n{len(captured) - shipped} models and {shipped} export examples, {total.values} values, "
        f"by rule {total.share():.2f} % of the shapes ({100 * total.rule / max(sized, 1):.2f} % of the {sized} that do "
        f"not depend on data), {total.share(total.dtype):.2f} % of the dtypes, "
        f"{total.share(total.strides):.2f} % of the strides; "
        f"{len(contradictions)} contradictions, {len(failed)} not captured"
    )
    return int(bool(contradictions))


if __name__ == "__main__":
    sys.exit(main())
