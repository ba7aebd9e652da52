"""Other sizes by rules against fresh captures on many architectures: python bench/reshape_models.py [--only NAME ...]

Each architecture of tests/python/shape_models.py is captured statically, and asked for another batch, sequence and
image size. What is answered must be the program that a fresh capture at those sizes gives, table by table; what cannot
be told from a static capture must be refused by node. Takes half an hour. Exits with 1 on any other answer.
"""

from __future__ import annotations

import argparse
import collections
import logging
import os
import re
import sys
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "python"))

import torch
from shape_models import ARCHITECTURES, SOUND

from fxcost.binding import Analysis, Program
from fxcost.errors import FxcostError, first_line
from fxcost.models import load
from fxcost.options import Options

CHANGES: dict[str, dict[str, int]] = {"batch": {"batch": 3}, "sequence": {"seq": 48}, "image": {"image": 256}}
Shapes = dict[str, tuple[int, ...]]


def capture(kind: str, settings: dict[str, object], sizes: dict[str, int]) -> Program:
    seq = 4096 if kind in SOUND else 32
    options = Options(batch=2, seq=seq, settings=dict(settings))
    for name, size in sizes.items():
        setattr(options, name, size * (seq // 32) if name == "seq" else size)
    with torch.no_grad():
        return Program.from_bytes(load(f"hf:{kind}", options).capture().to_bytes(), kind)


def inputs(program: Program) -> Shapes:
    """The sizes of a program's inputs, read off the line that a report shows."""
    text = program.info().inputs.decode()
    found = re.finditer(r"([\w.]+) [a-z]\w*\[([\d, ]*)\]", text)
    return {m[1]: tuple(int(size) for size in m[2].split(",") if size.strip()) for m in found}


def judge(captured: Program, fresh: Program) -> str:
    try:
        here = captured.at(**inputs(fresh))
    except FxcostError as error:
        return "refused: " + " ".join(line.strip() for line in str(error).split("\n")[:3])
    if here == fresh:
        return "equal"
    same = bytes(Analysis(here).totals()) == bytes(Analysis(fresh).totals())
    return "equal costs" if same else "WRONG"


def answers(kind: str, settings: dict[str, object]) -> dict[str, str]:
    """What became of each change; none where the model does not capture, or does not have that size."""
    out: dict[str, str] = {}
    try:
        captured = capture(kind, settings, {})
    except Exception as error:  # noqa: BLE001  listed, whatever it is
        return {"capture": f"not captured: {first_line(error)}"}
    for change, sizes in CHANGES.items():
        try:
            fresh = capture(kind, settings, sizes)
        except Exception as error:  # noqa: BLE001
            out[change] = f"not captured: {first_line(error)}"
            continue
        if inputs(fresh) != inputs(captured):
            out[change] = judge(captured, fresh)
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these architectures")
    only = set(parser.parse_args().only)
    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)
    torch.set_num_threads(1)
    counts: collections.Counter[str] = collections.Counter()
    for kinds in ARCHITECTURES.values():
        for kind, settings in kinds.items():
            for change, answer in answers(kind, settings).items() if not only or kind in only else ():
                counts[answer.partition(":")[0]] += 1
                print(f"{kind:<28} {change:<9} {answer}", flush=True)
    print(", ".join(f"{count} {answer}" for answer, count in sorted(counts.items())))
    return int(counts["WRONG"] > 0)


if __name__ == "__main__":
    sys.exit(main())
