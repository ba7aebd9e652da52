"""Counts, and one set of totals from every side."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import torch
from models import MODELS, captured
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import fxcost
from checks import NATIVE, ROOT, Result, last_line
from fxcost.binding import Analysis, Program, package_file


def matrix_flops(folder: Path) -> Iterator[Result]:
    """Whole models at their published sizes against FlopCounterMode with attention under the math kernel."""
    for name, build in MODELS.items():
        model, kwargs = build()
        model.eval()
        with torch.no_grad():
            program = fxcost.capture(model, (), kwargs, name=name)
            with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
                model(**kwargs)
        program.save(folder / f"{name}.fxir")
        totals = Analysis(Program.from_bytes(program.to_bytes())).totals()
        ours, theirs = totals.counts.matrix_flops, counter.get_total_flops()
        yield Result(
            f"matrix FLOPs of {name}, FlopCounterMode {theirs:,}",
            f"{ours:,}; {totals.unknown_nodes} of {totals.nodes} nodes unknown",
            "equal, none unknown",
            ours == theirs and totals.unknown_nodes == 0,
        )


def _c_consumer(folder: Path) -> Path:
    """examples/c/cost.c, compiled against the library in use."""
    library = os.environ.get("FXCOST_LIBRARY") or str(package_file("lib", "libfxcost.so.0"))
    program = folder / "cost"
    source = ROOT / "examples" / "c" / "cost.c"
    run_path = f"-Wl,-rpath,{Path(library).parent}"
    subprocess.run(["cc", "-std=c11", f"-I{ROOT / 'include'}", source, library, run_path, "-o", program], check=True)
    return program


def round_trips(folder: Path) -> Iterator[Result]:
    """Laws of the text form, and one set of totals from every side, of the same models."""
    consumer = _c_consumer(folder)
    for name in MODELS:
        path = captured(folder, name)
        program = Program.open(path)
        text = program.text()
        again = Program.from_bytes(text.encode())
        laws = again.text() == text and again == program
        yield Result(f"{path.stem}: file, text and back: equal programs, the same text", str(laws), "True", laws)
        shell = subprocess.run([NATIVE, path, "--format", "json"], capture_output=True, text=True, check=True).stdout
        totals = fxcost.open(path).to_dict()["totals"]
        in_c = dict(line.split() for line in subprocess.check_output([consumer, path], text=True).splitlines()[:4])
        same = totals == fxcost.Report(again).to_dict()["totals"] == json.loads(shell)["totals"]
        same &= all(totals[name] == int(number) for name, number in in_c.items())
        yield Result(f"{path.stem}: FLOPs from the command, from C, from Python", f"{totals['flops']:,}", "equal", same)


def architectures(folder: Path) -> Iterator[Result]:
    """Model types of transformers by export, and run once more while recorded (bench/architectures.py)."""
    del folder
    figure, holds = last_line("architectures.py")
    yield Result(
        "inputs, answer, and matrix FLOPs by both routes", figure, "60 types, all answered, none differs", holds
    )


def every_model(folder: Path) -> Iterator[Result]:
    """Every model of the tests under the default convention: what has no formula, and sums (bench/every_model.py)."""
    del folder
    figure, holds = last_line("every_model.py")
    yield Result("operators without a formula; rows that add up", figure, "each with its reason; all", holds)
