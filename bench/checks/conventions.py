"""Conventions of other counters: against the tools themselves, and how long counting takes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from fxcost.binding import Analysis, Program
from fxcost.conventions import conventions

from . import ROOT, Result, at_most, minimum

PEERS = ROOT / "build" / "peers"


def live_peers(folder: Path) -> Iterator[Result]:
    """Conventions against the tools themselves on every program (tests/peers/compare.py)."""
    del folder
    command = [sys.executable, str(ROOT / "tests" / "peers" / "compare.py"), "--matrix"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    print(answer.stdout, flush=True)
    lines = (answer.stdout if answer.stdout.strip() else answer.stderr).strip().splitlines()
    figure = lines[-1] if lines else "nothing printed"
    found = re.match(r"(\d+) of (\d+) cells", figure)
    enough = found is not None and int(found[1]) >= 0.95 * int(found[2])
    yield Result("peers x programs", figure, "95 % equal, none unexplained", enough and answer.returncode == 0)


def all_conventions(folder: Path) -> Iterator[Result]:
    """Every convention over every captured program of that matrix, from its file on, one thread."""
    del folder
    files = sorted((PEERS / "fxir").glob("*.fxir"))
    names = [convention.name for convention in conventions()]

    def run() -> None:
        for path in files:
            analysis = Analysis(Program.open(path))
            for name in names:
                analysis.set("convention", name)
                analysis.require("tool")

    if not files:
        yield Result("conventions over all programs", "no programs: run it after live_peers", "at most 1 s", False)
        return
    yield at_most(f"{len(names)} conventions over {len(files)} programs", minimum(run, 3), 1, "s", 2)
