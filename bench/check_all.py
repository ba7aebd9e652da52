"""The long acceptance runs and all timings: python bench/check_all.py [--write docs/results.md] [--only NAME ...].

Each check prints what was measured beside its limit. Timings are ratios or minima of one run on one machine, one
thread; machines differ, so limits in milliseconds are meant for one core of a current server processor.

The results of a check are kept in build/check-all until it runs again, so that the table can be made of several runs;
it says of each check at which commit it ran.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402
from checks import (
    ROOT,
    Result,
    choices,
    compiler,
    conventions,
    counts,
    cpu_compiled,
    cpu_models,
    fusion,
    gpu_kernels,
    hostile,
    kernel_memory,
    measured,
    memory,
    memory_budget,
    other_compilers,
    partition,
    recording,
    shapes,
    speed,
)  # noqa: E402

import fxcost  # noqa: E402

CHECKS = {
    check.__name__: check
    for check in (
        *(counts.matrix_flops, counts.round_trips, counts.architectures, counts.every_model),
        *(shapes.shape_oracle, shapes.operator_sweeps),
        *(speed.seventy_billion, speed.against_flop_counter, speed.million_nodes, speed.sweep, speed.whole_process),
        *(conventions.live_peers, conventions.all_conventions),
        *(hostile.mutations, hostile.fusion_bounds, hostile.fuzzing),
        *(recording.recording, gpu_kernels.gpu_kernels, cpu_models.cpu_models),
        *(memory.live_bytes, memory.training_bytes, memory.llama_fits),
        *(measured.measured_models, kernel_memory.kernel_memory, cpu_compiled.cpu_compiled),
        *(fusion.lowered_views, fusion.fusion_micro, fusion.fusion_models, fusion.fusion_training),
        *(cpu_models.cpu_models_two_threads, cpu_models.cpu_models_frozen),
        *(fusion.fusion_unseen, fusion.fusion_speed, fusion.fusion_gpu),
        *(other_compilers.other_compilers, compiler.compiler_backend, compiler.compiler_runtimes),
        *(choices.neutral_choices, choices.cost_schedules, choices.compiler_choices),
        memory_budget.memory_budget,
        partition.llama_stages,
    )
}


# Models that nobody looked at while the rules were written: looking is spent once, so only --only runs them.
ONCE = ("fusion_unseen", "cpu_models_frozen")
KEPT = ROOT / "build" / "check-all"


def commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=7"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()


def environment() -> str:
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in cpus if line.startswith("model name")), "?")
    return (
        f"fxcost {fxcost.__version__}, torch {torch.__version__}, Python {platform.python_version()}, "
        f"{model}, {os.cpu_count()} cores, one thread"
    )


def keep(name: str, results: list[Result]) -> None:
    KEPT.mkdir(parents=True, exist_ok=True)
    kept = {"commit": commit(), "results": [dataclasses.asdict(r) | {"holds": bool(r.holds)} for r in results]}
    (KEPT / f"{name}.json").write_text(json.dumps(kept, indent=1))


def table() -> str:
    """Of the last run of every check."""
    lines = ["# Results", "", "Written by `make check-all`. " + environment() + ".", ""]
    missing = [name.replace("_", " ") for name in CHECKS if not (KEPT / f"{name}.json").exists()]
    if missing:
        lines += [f"Not run: {', '.join(missing)}.", ""]
    for name, check in CHECKS.items():
        if not (KEPT / f"{name}.json").exists():
            continue
        kept = json.loads((KEPT / f"{name}.json").read_text())
        lines += [f"## {name.replace('_', ' ')}", "", f"{check.__doc__ or ''} (at {kept['commit']})".strip(), ""]
        lines += ["| what | measured | limit | holds |", "|---|---|---|---|"]
        rows = [Result(**row) for row in kept["results"]]
        lines += [f"| {row.what} | {row.figure} | {row.limit} | {'yes' if row.holds else '**no**'} |" for row in rows]
        lines.append("")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="write the table here")
    parser.add_argument(
        "--only",
        nargs="*",
        choices=CHECKS,
        default=[name for name in CHECKS if name not in ONCE],
        help="run these checks",
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    results: dict[str, list[Result]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.only:
            print(f"---- {name.replace('_', ' ')}", flush=True)
            results[name] = []
            for result in CHECKS[name](Path(folder)):
                results[name].append(result)
                mark = "ok  " if result.holds else "FAIL"
                print(f"{mark} {result.what}: {result.figure} (limit: {result.limit})", flush=True)
            keep(name, results[name])
    if arguments.write:
        arguments.write.write_text(table())
    return int(not all(row.holds for rows in results.values() for row in rows))


if __name__ == "__main__":
    sys.exit(main())
