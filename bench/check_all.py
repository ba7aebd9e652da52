"""The long acceptance runs and all timings: python bench/check_all.py [--write docs/results.md] [--only NAME ...].

Each check prints what was measured beside its limit. Timings are ratios or minima of one run on one machine, one
thread; machines differ, so limits in milliseconds are meant for one core of a current server processor.

Of the table only those sections are written again whose checks run, each when its check has ended: it can be made of
several runs, and says of each check at which commit it ran.
"""

from __future__ import annotations

import argparse
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


def commit() -> str:
    """What is measured. The table itself is no part of it."""

    def git(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True)

    changed = git("diff", "--quiet", "HEAD", "--", ".", ":!docs/results.md").returncode != 0
    return git("rev-parse", "--short=7", "HEAD").stdout.strip() + ("-dirty" if changed else "")


def environment() -> str:
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in cpus if line.startswith("model name")), "?")
    return (
        f"fxcost {fxcost.__version__}, torch {torch.__version__}, Python {platform.python_version()}, "
        f"{model}, {os.cpu_count()} cores, one thread"
    )


def section(name: str, results: list[Result]) -> str:
    said = f"{CHECKS[name].__doc__ or ''} (at {commit()})".strip()
    lines = [said, "", "| what | measured | limit | holds |", "|---|---|---|---|"]
    lines += [f"| {row.what} | {row.figure} | {row.limit} | {'yes' if row.holds else '**no**'} |" for row in results]
    return "\n".join(lines)


def write(path: Path, name: str, text: str) -> None:
    """One section; the others stay as they are."""
    _, *parts = (path.read_text() if path.exists() else "").split("\n## ")
    sections = {heading.strip(): body.strip() for heading, _, body in (part.partition("\n") for part in parts)}
    sections[title(name)] = text
    missing = [title(name) for name in CHECKS if title(name) not in sections]
    head = ["# Results", f"Written by `make check-all`. {environment()}."]
    head += [f"Not run: {', '.join(missing)}."] if missing else []
    body = [f"## {title(name)}\n\n{sections[title(name)]}" for name in CHECKS if title(name) in sections]
    path.write_text("\n\n".join([*head, *body]) + "\n")


def title(name: str) -> str:
    return name.replace("_", " ")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="write what is measured into this table")
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
            print(f"---- {title(name)}", flush=True)
            results[name] = []
            for result in CHECKS[name](Path(folder)):
                results[name].append(result)
                mark = "ok  " if result.holds else "FAIL"
                print(f"{mark} {result.what}: {result.figure} (limit: {result.limit})", flush=True)
            if arguments.write:
                write(arguments.write, name, section(name, results[name]))
    return int(not all(row.holds for rows in results.values() for row in rows))


if __name__ == "__main__":
    sys.exit(main())
