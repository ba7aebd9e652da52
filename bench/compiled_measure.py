"""What a model's compiled kernels take, predicted and by Inductor's own profile, for compiler_runtimes of
bench/checks/compiler.py: bench/compiled_measure.py MODEL DEVICE prints JSON.

    steps        of everything that the compiled graph runs, in order: whether a library runs it, seconds predicted
                 (metrics.node_runtimes), seconds measured
    unpredicted  scheduler nodes among them without a time
"""

from __future__ import annotations

import json
import logging
import sys
from unittest import mock

import torch
from models_compiled import KERNELS
from torch._inductor import compile_fx, metrics

import fxcost.compiler
from fxcost.kernel_profile import profile, steps_of

RUNS = 15  # under the profiler


def main() -> int:
    name, device = sys.argv[1:]
    torch.set_num_threads(1)
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
    print(json.dumps({"steps": rows, "unpredicted": sum(seconds <= 0 for found in times for seconds in found)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
