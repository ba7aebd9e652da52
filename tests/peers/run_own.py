"""What fxcost says of programs under its conventions: python run_own.py FOLDER CONVENTION... < names of programs.

Runs in the environment of the peers, for its models. Captures each program into FOLDER once; prints lines as
run_peer.py does.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from pathlib import Path

import torch
from programs import PROGRAMS

import fxcost
from fxcost.binding import Program
from fxcost.conventions import count_as


def captured(program: str, folder: Path) -> Program:
    number = list(PROGRAMS).index(program)  # names that differ in signs only would be one file
    path = folder / (re.sub(r"\W+", "_", program) + f"_{number}.fxir")
    if not path.exists():
        torch.manual_seed(0)
        model, args = PROGRAMS[program]()
        with torch.no_grad():
            fxcost.capture(model.eval(), args, name=program).save(path)
    return Program.open(path)


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for program in (line.rstrip("\n") for line in sys.stdin):
        file = captured(program, folder)
        for convention in sys.argv[2:]:
            told = count_as(file, convention)
            answer = {"peer": convention, "program": program, "total": told.count, "macs": told.macs}
            answer["operators"] = {key: count for key, (count, _) in told.operators.items() if count}
            if told.failure:
                answer["error"] = told.failure
            if told.unknown_nodes:
                answer["unknown"] = told.unknown_nodes
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
