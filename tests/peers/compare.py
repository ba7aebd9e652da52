"""Compares fxcost's conventions with the tools themselves: runs both sides in the peers' environments.

python tests/peers/compare.py [--environments FOLDER] [--peers NAME...] [--programs NAME...] [--matrix]

Prints every difference, and with --matrix the whole matrix peer x program. A difference is explained when REASONS of
reasons.py holds it; anything else makes the exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasons import reason_for

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# Which environment of environments.txt a peer runs in.
ENVIRONMENT = {
    "flop_counter": "common",
    "flop_counter-complete": "common",
    "torch_profiler": "common",
    "fvcore": "common",
    "fvcore-activations": "common",
    "torchprofile": "common",
    "thop": "common",
    "ultralytics_thop": "ultralytics",
    "torchinfo": "common",
    "ptflops": "common",
    "flops_profiler": "common",
    "deepspeed": "deepspeed",
    "calflops": "common",
    "torch_flops": "common",
}
Answers = dict[tuple[str, str], dict[str, Any]]


@dataclass(frozen=True)
class Cell:
    """One peer on one program."""

    peer: str
    program: str
    ours: dict[str, Any]
    theirs: dict[str, Any]

    @property
    def difference(self) -> str:
        """ "" when equal to the digit: the total, the second number, and the table by operator where the peer has
        one. A peer that raises an exception is equalled by a convention that says so."""
        ours, theirs = self.ours, self.theirs
        if "error" in theirs or "error" in ours:
            same = "error" in theirs and "error" in ours
            return "" if same else f"{ours.get('error', ours['total'])} here, {theirs.get('error') or theirs['total']}"
        for field in ("total", "macs", "operators"):
            if field in theirs and ours.get(field) != theirs[field]:
                return f"{field} {ours.get(field)} here, {theirs[field]}"
        return "cannot be told here" if ours.get("unknown") else ""

    @property
    def reason(self) -> str:
        return reason_for(self.peer, self.program) if self.difference else ""


def _ask(environment: Path, script: str, arguments: Iterable[str], programs: Iterable[str]) -> Answers:
    python = environment / "bin" / "python"
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    answer = subprocess.run(
        [python, HERE / script, *arguments],
        input="\n".join(programs),
        capture_output=True,
        text=True,
        env=settings,
        cwd=HERE,
    )
    if answer.returncode != 0:
        raise RuntimeError(f"{script} {' '.join(arguments)}: {answer.stderr[-2000:]}")
    lines = (json.loads(line) for line in answer.stdout.splitlines() if line.startswith("{"))
    return {(line["peer"], line["program"]): line for line in lines}


def compare(
    environments: Path, peers: Iterable[str], programs: list[str], files: Path, known: Path | None = None
) -> list[Cell]:
    """All cells; captured programs are kept in ``files``, and what the peers said in ``known``, if given."""
    peers = list(peers)
    theirs: Answers = {}
    if known is not None and known.exists():
        lines = (json.loads(line) for line in known.read_text().splitlines())
        theirs = {(line["peer"], line["program"]): line for line in lines}
    waiting: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    ours = _ask(environments / "common", "run_own.py", [str(files), *peers], programs)
    for name in dict.fromkeys(ENVIRONMENT[peer] for peer in peers):
        for program in programs:
            asked = [p for p in peers if ENVIRONMENT[p] == name and (p, program) not in theirs]
            if asked:
                waiting.setdefault((name, tuple(asked)), []).append(program)
    for (name, asked), of in waiting.items():
        theirs |= _ask(environments / name, "run_peer.py", asked, of)
        if known is not None:
            known.write_text("".join(json.dumps(answer) + "\n" for answer in theirs.values()))
    return [Cell(peer, program, ours[peer, program], theirs[peer, program]) for peer in peers for program in programs]


def matrix(cells: list[Cell]) -> str:
    """A line a program, a column a peer: = equal, r different for a stated reason, ! different."""
    peers, programs = (list(dict.fromkeys(getattr(cell, name) for cell in cells)) for name in ("peer", "program"))
    mark = {(c.peer, c.program): "r" if c.reason else "!" if c.difference else "=" for c in cells}
    width = max(map(len, programs))
    head = "\n".join(f"{'':{width}}  {'│ ' * i}{peer}" for i, peer in enumerate(peers))
    lines = [f"{program:{width}}  {' '.join(mark[peer, program] for peer in peers)}" for program in programs]
    return "\n".join([head, *lines])


def summary(cells: list[Cell]) -> str:
    equal = sum(not cell.difference for cell in cells)
    explained = sum(bool(cell.reason) for cell in cells)
    return (
        f"{equal} of {len(cells)} cells equal to the digit ({100 * equal / len(cells):.1f} %), "
        f"{explained} different for a stated reason, {len(cells) - equal - explained} unexplained"
    )


def main() -> int:
    sys.path.insert(0, str(HERE))
    from programs import PROGRAMS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, default=ROOT / "build" / "peers")
    parser.add_argument("--peers", nargs="*", choices=ENVIRONMENT, default=list(ENVIRONMENT))
    parser.add_argument("--programs", nargs="*", default=list(PROGRAMS))
    parser.add_argument("--known", type=Path, help="keep what the peers say in this file, and ask for the rest only")
    parser.add_argument("--matrix", action="store_true", help="print every cell")
    arguments = parser.parse_args()
    files = arguments.environments / "fxir"
    missing = {peer for peer in arguments.peers if not (arguments.environments / ENVIRONMENT[peer]).is_dir()}
    for peer in sorted(missing):
        print(f"{peer}: not compared, its environment is not installed (tests/peers/setup.sh)")
    peers = [peer for peer in arguments.peers if peer not in missing]
    cells = compare(arguments.environments, peers, arguments.programs, files, arguments.known)
    for cell in cells:
        if cell.difference and (arguments.matrix or not cell.reason):
            print(f"{cell.peer}, {cell.program}: {cell.difference}{' because ' if cell.reason else ''}{cell.reason}")
    if arguments.matrix:
        print(matrix(cells))
    print(summary(cells))
    return int(any(cell.difference and not cell.reason for cell in cells))


if __name__ == "__main__":
    sys.exit(main())
