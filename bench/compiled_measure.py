"""What a compiled model takes, in a process of its own.

bench/compiled_measure.py MODEL --kernels DEVICE, for compiler_runtimes of bench/checks/compiler.py, prints JSON:

    steps        of everything that the compiled graph runs, in order: whether a library runs it, seconds predicted
                 (metrics.node_runtimes), seconds by Inductor's own profile
    unpredicted  scheduler nodes among them without a time

bench/compiled_measure.py MODEL --whole FILE.fxir, for bench/checks/cpu_compiled.py, writes the program with what it
takes eager and compiled, and prints the file's name.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from typing import Any
from unittest import mock

import torch
from models_compiled import KERNELS, WHOLE
from torch._inductor import compile_fx, metrics

import fxcost.compiler
from fxcost.kernel_profile import profile, steps_of
from fxcost.measuring import Repetitions, measure

RUNS = 15  # under the profiler


def kernels(name: str, device: str) -> dict[str, Any]:
    model, inputs = KERNELS[name]()
    asked = logging.Logger("metrics", logging.INFO)  # node_runtimes is filled only where a log is asked for
    with (
        torch.no_grad(),
        mock.patch.object(compile_fx, "inductor_metrics_log", asked),
        steps_of() as steps,
        fxcost.compiler.kernel_runtimes(device=device),
    ):
        compiled = torch.compile(model)
        compiled(*inputs)
    runtimes = {id(node): 1e-3 * milliseconds for node, milliseconds in metrics.node_runtimes}
    with torch.no_grad():
        for _ in range(3):
            compiled(*inputs)
        profile(steps, lambda: compiled(*inputs), RUNS)
    times = [[runtimes[id(node)] for node in step.nodes] for step in steps]
    rows = [(step.extern, sum(found), step.seconds) for step, found in zip(steps, times, strict=True)]
    return {"steps": rows, "unpredicted": sum(seconds <= 0 for found in times for seconds in found)}


def whole(name: str, path: str) -> str:
    model, inputs = WHOLE[name]()
    with torch.no_grad():
        repetitions = Repetitions(counted=9, warmup=3, compiled=True)
        measure(model, inputs, lowered=True, repetitions=repetitions, name=name).save(path)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--kernels", metavar="DEVICE")
    parser.add_argument("--whole", metavar="FILE")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.kernels:
        print(json.dumps(kernels(arguments.model, arguments.kernels)))
    if arguments.whole:
        print(json.dumps(whole(arguments.model, arguments.whole)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
