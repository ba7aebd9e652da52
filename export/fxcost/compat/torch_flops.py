"""torch_flops' TorchFLOPsByFX: FLOPs of each node of torch.fx.symbolic_trace, with the time and memory it took."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import nn

from ..binding import Analysis, Program
from ..conventions import LeftOut, count_as
from ..conventions import rows as convention_rows
from ..errors import usage
from ..exporter import capture
from ..measured import Measured, MeasuredInterpreter
from ..symbolic import traced
from .tables import tabulate

__all__ = ["TorchFLOPsByFX"]

_CONVENTION = "torch_flops"
_HEADER = ["node_name", "node_op", "op_target", "which_module", "flops", "time(ms)"]
_HEADER += ["mem_before_op(B)", "mem_after_op(B)", "mem_delta(B)"]
_FLOPS, _TIME, _AFTER = 4, 5, 7  # columns
_UNRECOGNIZED, _IGNORED = "not_recognized", "ignored"

# Calls that torch_flops lists as free, and that are no rows of the convention since they compute nothing.
_FREE = {
    "call_function": {"getattr", "getitem", "concat", "cat", "_assert", "pad", "floordiv", "flip"},
    "call_method": {"reshape", "permute", "unbind", "transpose", "repeat", "unsqueeze", "expand", "flatten", "view"}
    | {"cuda", "flip", "type_as", "size", "clone", "new_empty", "normal_"},
}
_OPERATOR = re.compile(r"__(?:[ri]?)(add|eq|matmul|mul|sub|truediv)__")


class TorchFLOPsByFX:
    """torch_flops.TorchFLOPsByFX: traces a model, runs it node by node, and prints a table of its nodes.

    FLOPs are those of the convention ``torch_flops``, with two differences: arithmetic on sizes, of which torch_flops
    counts 1 for each number, is no work of the model and is 0 here, and norms without weights, at which it raises an
    AttributeError, are "not_recognized". What it does not recognize is in :meth:`left_out`.

    Times and memory are measured while :meth:`propagate` runs the model: wall-clock milliseconds, and bytes. On CUDA
    these are of torch's allocator, by ``mem_func_name``; elsewhere the bytes of parameters, buffers, inputs and results
    of nodes that are alive, each storage once.

    ``ignore_ops`` names what is not to be counted: classes of layers, functions and methods (``"Linear"``, ``"add"``).
    """

    def __init__(
        self,
        model: nn.Module,
        mem_func_name: Literal["memory_allocated", "max_memory_allocated"] = "max_memory_allocated",
        ignore_ops: str | Sequence[str] = (),
    ) -> None:
        if mem_func_name not in ("memory_allocated", "max_memory_allocated"):
            raise usage(f"mem_func_name={mem_func_name!r}", "'memory_allocated' or 'max_memory_allocated'")
        self.mem_func_name = mem_func_name
        self.ignore_ops = [ignore_ops] if isinstance(ignore_ops, str) else list(ignore_ops)
        self.graph_model = traced(model.eval(), type(model).__name__)
        self.result_header = list(_HEADER)
        self.result_table: list[list[Any]] = []
        self._program: Program | None = None

    def propagate(self, *args: Any) -> None:
        """Runs the model on these inputs, and fills :attr:`result_table` and the ``meta`` of the graph's nodes."""
        captured = capture(_numbered(self.graph_model), args, name=type(self.graph_model).__name__)
        self._program = Program.from_bytes(captured.to_bytes())
        flops = self._flops(self._program)
        measured = MeasuredInterpreter(self.graph_model, self.mem_func_name)
        measured.run(*args)
        self.result_table = []
        for node, count in zip(self.graph_model.graph.nodes, flops, strict=True):
            found = measured.found[node]
            node.meta |= {"flops": count if isinstance(count, int) else None, "time": found.milliseconds}
            node.meta |= {"mem_before": found.before, "mem_after": found.after, "mem_delta": found.delta}
            self.result_table.append([node.name, node.op, _target(node), _module(node), count, *_cells(found)])

    # ---- results ----------------------------------------------------------------------------------------------------

    def print_result_table(self, show: bool = True) -> list[list[Any]]:
        """Prints a row for each node, and returns the rows without the header."""
        if show:
            formats = [""] * 4 + [",", "", ",", ",", "+,"]
            missing = [""] * 4 + ["ERROR"]
            print(
                tabulate(
                    self.result_table,
                    self.result_header,
                    tablefmt="rst",
                    intfmt=formats,
                    floatfmt=".3f",
                    missingval=missing,
                )
            )
        return self.result_table

    def print_total_flops(self, show: bool = True) -> int:
        """The sum over nodes that are counted."""
        counts = [row[_FLOPS] for row in self._rows() if isinstance(row[_FLOPS], int)]
        others = len(self.result_table) - len(counts)
        if show:
            note = f"({others} operations are ignored or not recognized)" if others else ""
            print(f"total_flops = {sum(counts):3,}", note)
        return sum(counts)

    def print_total_time(self, show: bool = True) -> float:
        """Milliseconds that the nodes took."""
        total = sum(row[_TIME] for row in self._rows())
        if show:
            print(f"total_time = {total:.3f} ms")
        return float(total)

    def print_max_memory(self, show: bool = True) -> int:
        """The most bytes after a node."""
        most = max(row[_AFTER] for row in self._rows())
        if show:
            print(f"max_memory = {most:3,} Bytes")
        return int(most)

    def save_result_to_csv(self, file_path: str | os.PathLike[str], mode: str = "a") -> None:
        """Writes the table with its header, after what the file has."""
        with open(file_path, mode) as file:
            writer = csv.writer(file)
            writer.writerow(self.result_header)
            writer.writerows(self.result_table)
            file.write("\n")

    def left_out(self) -> list[LeftOut]:
        """Operators that torch_flops makes nothing of, with fxcost's own counts for them."""
        self._rows()
        assert self._program is not None
        return count_as(self._program, _CONVENTION).left_out

    def _rows(self) -> list[list[Any]]:
        if self._program is None:
            raise usage("nothing was counted yet", "propagate(x) first")
        return self.result_table

    # ---- counting ---------------------------------------------------------------------------------------------------

    def _flops(self, program: Program) -> list[int | str]:
        """By node of the graph: the count, or why there is none."""
        report = Analysis(program, convention=_CONVENTION).report("node")
        nodes = list(self.graph_model.graph.nodes)
        counts = [0] * len(nodes)
        for row in report["rows"]:
            place = _PLACE.match(row["name"])
            if place is not None:
                counts[int(place[1])] += row["tool"]
        failed = bool(report["tool"]["failure"] or report["tool"]["unknown_nodes"])
        counted, free = _recognized()
        return [self._cell(node, count, failed, counted, free) for node, count in zip(nodes, counts, strict=True)]

    def _cell(
        self, node: torch.fx.Node, count: int, failed: bool, counted: dict[str, set[str]], free: dict[str, set[str]]
    ) -> int | str:
        if node.op not in counted:
            return 0
        name = self._name(node)
        if name not in counted[node.op] | free[node.op]:
            return _UNRECOGNIZED
        if _module(node) in self.ignore_ops:
            return _IGNORED
        if name in self.ignore_ops:
            return 0
        return _UNRECOGNIZED if failed and count == 0 and name in counted[node.op] else count

    def _name(self, node: torch.fx.Node) -> str:
        """What torch_flops looks a node up by."""
        if node.op == "call_module":
            return type(self.graph_model.get_submodule(str(node.target))).__name__
        return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")


def _recognized() -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Names that torch_flops has a formula for, and those that it lists as free, by kind of node."""
    counted: dict[str, set[str]] = {"call_module": set(), "call_function": set(), "call_method": set()}
    free: dict[str, set[str]] = {kind: set(_FREE.get(kind, ())) for kind in counted}
    for row in convention_rows(_CONVENTION):
        name, kind = row.name.rpartition(".")[2], "call_function"
        if row.sight == "module":
            kind = "call_module"
        elif match := _OPERATOR.fullmatch(name):
            name = match[1]
        elif row.name.startswith("torch.Tensor."):
            kind = "call_method"
        (free if row.formula == "nothing" else counted)[kind].add(name)
    return counted, free


# ---- nodes ----------------------------------------------------------------------------------------------------------

_PLACE = re.compile(r"fxnode(\d+)(?:_|$)")


def _numbered(module: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """The same graph with its calls numbered: captured nodes are named after the node that they were made from."""
    graph = torch.fx.Graph()
    values: dict[torch.fx.Node, torch.fx.Node] = {}
    for index, node in enumerate(module.graph.nodes):
        values[node] = graph.node_copy(node, values.__getitem__)
        if node.op.startswith("call"):
            values[node].name = f"fxnode{index}"
        # Without any meta, torch.export does not say which node it made a node from.
        values[node].meta = {"nn_module_stack": node.meta.get("nn_module_stack") or {}}
    return torch.fx.GraphModule(module, graph, type(module).__name__)


def _target(node: torch.fx.Node) -> str:
    """What a node calls, ``<built-in function add>``, without addresses."""
    text = str(node.target)
    for mark in (" at 0x", " of type object"):
        if mark in text:
            text = text.split(mark)[0] + ">"
    return text


def _module(node: torch.fx.Node) -> str:
    """The class of the innermost module that a node is in."""
    stack = node.meta.get("nn_module_stack")
    if not stack:
        return ""
    innermost = next(reversed(stack.values()))
    cls = innermost[1] if isinstance(innermost, tuple) else innermost
    return str(getattr(cls, "__name__", cls))


def _cells(found: Measured) -> list[float]:
    return [found.milliseconds, found.before, found.after, found.delta]
