"""fxcost inside torch.compile: docs/compiler.md. Importing this makes ``backend="fxcost"`` known to torch.compile."""

from __future__ import annotations

from .backend import Backend, forget, fxcost, register, report
from .choices import choices_class, fusion_choices
from .cost_choices import cost_choices
from .flops import FlopFormulas, register_flop_formulas
from .memory_budget import knapsack_solver, runtime_estimator, use_memory_budget
from .partitions import fuse_by_partitions
from .program import CompiledGraph, CompiledProgram
from .runtimes import NodeRuntime, kernel_runtimes, scheduler_pass

__all__ = [
    "Backend",
    "CompiledGraph",
    "CompiledProgram",
    "FlopFormulas",
    "forget",
    "NodeRuntime",
    "choices_class",
    "cost_choices",
    "fuse_by_partitions",
    "fusion_choices",
    "fxcost",
    "kernel_runtimes",
    "knapsack_solver",
    "register_flop_formulas",
    "report",
    "runtime_estimator",
    "scheduler_pass",
    "use_memory_budget",
]

register()
