"""fvcore.nn's analyses over a captured graph: FlopCountAnalysis, ActivationCountAnalysis and what goes with them."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import nn

from ..binding import Analysis, Program
from ..conventions import rows as convention_rows
from ..exporter import capture
from ..formulas import Call, Corrections, OpFormula, TensorInfo
from .fvcore_text import flop_count_str, flop_count_table, parameter_count, parameter_count_table

__all__ = [
    "ActivationCountAnalysis",
    "FlopCountAnalysis",
    "activation_count",
    "flop_count",
    "flop_count_str",
    "flop_count_table",
    "parameter_count",
    "parameter_count_table",
]

Handle = Callable[[list[Any], list[Any]], Any]
Counts = dict[str, "Counter[str]"]
Self = TypeVar("Self", bound="_ModuleAnalysis")

_log = logging.getLogger("fxcost.compat.fvcore")


class _ModuleAnalysis:
    """What the two analyses share: counts by module and operator, found once when first asked for."""

    _column = ""  # of a report's rows
    _convention = ""

    def __init__(self, model: nn.Module, inputs: torch.Tensor | tuple[Any, ...]) -> None:
        self._model = model
        self._inputs = inputs if isinstance(inputs, tuple) else (inputs,)
        self._handles: dict[str, Handle | None] = {}
        self._cleared = self._by_caller = False
        self._warn_unsupported = self._warn_uncalled = True
        self._program: Program | None = None
        self._found: tuple[Counts, Counts] | None = None
        self._names: dict[nn.Module, str] = {}
        for name, module in model.named_modules(remove_duplicate=False):
            self._names.setdefault(module, name)

    # ---- results ----------------------------------------------------------------------------------------------------

    def total(self, module_name: str = "") -> int:
        """The count of a module and everything below it."""
        return sum(self._counts()[self.canonical_module_name(module_name)].values())

    def by_operator(self, module_name: str = "") -> Counter[str]:
        """Counts of a module by fvcore's names of operators."""
        return self._counts()[self.canonical_module_name(module_name)]

    def by_module(self) -> Counter[str]:
        """Counts by qualified name, each with everything below it; "" is the model."""
        return Counter({name: sum(counts.values()) for name, counts in self._counts().items()})

    def by_module_and_operator(self) -> Counts:
        return self._counts()

    def unsupported_ops(self, module_name: str = "") -> Counter[str]:
        """Operators that compute something and are in no count, as ``aten::mean``."""
        return self._analyze()[1][self.canonical_module_name(module_name)]

    def uncalled_modules(self) -> set[str]:
        """Modules that no call reached, by their canonical names."""
        called = {""}
        for row in self._analysis().report("module")["rows"]:
            called |= {row["name"]} if row["calls"] or row["nodes"] else set()
        return {name for name in self._counts() if name not in called}

    def canonical_module_name(self, name: str) -> str:
        """The first of several names of a module. KeyError when there is none."""
        try:
            return self._names[self._model.get_submodule(name)]
        except AttributeError:
            raise KeyError(f"{name!r} is no module of {type(self._model).__name__}") from None

    # ---- switches ---------------------------------------------------------------------------------------------------

    def set_op_handle(self: Self, *args: Any, **kwargs: Handle | None) -> Self:
        """Counts an operator by a function of its inputs and outputs, ``set_op_handle("aten::mean", function)``;
        None leaves it out."""
        if len(args) % 2:
            raise TypeError("set_op_handle takes names and handles in turn")
        for name, handle in [*zip(args[::2], args[1::2], strict=True), *kwargs.items()]:
            self._handles[name] = handle
        self._found = None
        return self

    def clear_op_handles(self: Self) -> Self:
        """Forgets all handles, those of fvcore too."""
        self._handles.clear()
        self._cleared, self._found = True, None
        return self

    def copy(self: Self, new_model: nn.Module | None = None, new_inputs: Any = None) -> Self:
        """The same switches and handles for another model or other inputs."""
        made = type(self)(
            self._model if new_model is None else new_model, self._inputs if new_inputs is None else new_inputs
        )
        made._handles, made._cleared = dict(self._handles), self._cleared
        made._by_caller = self._by_caller
        made._warn_unsupported, made._warn_uncalled = self._warn_unsupported, self._warn_uncalled
        return made

    def ancestor_mode(self: Self, mode: str) -> Self:
        """ "owner": a module counts for those whose name its own begins with. "caller": for those that call it."""
        if mode not in ("owner", "caller"):
            raise ValueError(f"{mode!r} is none of owner, caller")
        self._by_caller, self._found = mode == "caller", None
        return self

    def tracer_warnings(self: Self, mode: str) -> Self:
        """Takes "all", "no_tracer_warning" and "none"; capturing prints no warnings in any case."""
        if mode not in ("all", "no_tracer_warning", "none"):
            raise ValueError(f"{mode!r} is none of all, no_tracer_warning, none")
        return self

    def unsupported_ops_warnings(self: Self, enabled: bool) -> Self:
        self._warn_unsupported = enabled
        return self

    def uncalled_modules_warnings(self: Self, enabled: bool) -> Self:
        self._warn_uncalled = enabled
        return self

    # ---- counting ---------------------------------------------------------------------------------------------------

    def _analysis(self) -> Analysis:
        if self._program is None:
            captured = capture(self._model, self._inputs)
            self._program = Program.from_bytes(captured.to_bytes(), type(self._model).__name__)
        return Analysis(self._program, convention=self._convention)

    def _counts(self) -> Counts:
        return self._analyze()[0]

    def _analyze(self) -> tuple[Counts, Counts]:
        if self._found is None:
            counts: Counts = {name: Counter() for name in self._names.values()}
            unsupported: Counts = {name: Counter() for name in self._names.values()}
            analysis = self._analysis()
            keys = {} if self._cleared else {row.name: row.key for row in convention_rows(self._convention)}
            for row in self._rows(analysis):
                kind, key = _kind(row["op"]), _key(row["op"], keys)
                if kind in self._handles or row["name"] not in counts:
                    continue
                if key is not None and self._counts_key(key):
                    counts[row["name"]][key] += row[self._column]
                elif row["flops"] or row["unknown_nodes"]:
                    unsupported[row["name"]][kind] += row["calls"]
            self._add_handled(analysis.program, counts)
            self._found = counts, unsupported
            self._warn(unsupported[""])
        return self._found

    def _rows(self, analysis: Analysis) -> Iterator[dict[str, Any]]:
        """Nodes, each for every module that it counts for. A module with several names goes by its first, as in
        fvcore: what it does under another counts for those whose name that one begins with."""
        modules = self._model.named_modules(remove_duplicate=False)
        first = {name: self._names[module] for name, module in modules}
        for row in analysis.report("node")["rows"]:
            if self._by_caller:
                names = [first.get(name, name) for name in row.get("callers", ())]
            else:
                own = first.get(row["module"], row["module"])
                names = [own[:at] for at, letter in enumerate(own) if letter == "."] + [own]
            for name in dict.fromkeys([*names, ""]):
                yield {**row, "name": name}

    def _counts_key(self, key: str) -> bool:
        return True

    def _add_handled(self, program: Program, counts: Counts) -> None:
        handles = {kind: handle for kind, handle in self._handles.items() if handle is not None}
        analysis = Analysis(program)
        Corrections([_formula(kind, handle) for kind, handle in handles.items()]).apply(analysis)
        for row in self._rows(analysis) if handles else []:
            if _kind(row["op"]) in handles and row["name"] in counts:
                counts[row["name"]][_kind(row["op"]).partition("::")[2]] += row["vector_flops"]

    def _warn(self, unsupported: Counter[str]) -> None:
        if self._warn_unsupported:
            for kind, times in unsupported.items():
                _log.warning("Unsupported operator %s encountered %d time(s)", kind, times)
        uncalled = {name for name in self.uncalled_modules() if _has_forward(self._model.get_submodule(name))}
        if self._warn_uncalled and uncalled:
            _log.warning("Modules that were never called: %s", ", ".join(sorted(uncalled)))


class FlopCountAnalysis(_ModuleAnalysis):
    """fvcore.nn.FlopCountAnalysis: one multiply-add counts one; the rest is in :meth:`unsupported_ops`."""

    _column, _convention = "tool", "fvcore"


class ActivationCountAnalysis(_ModuleAnalysis):
    """fvcore.nn.ActivationCountAnalysis: elements that convolutions and matrix products put out."""

    _column, _convention = "activations", "fvcore"

    def _counts_key(self, key: str) -> bool:
        return key in ("conv", "addmm", "bmm", "einsum", "matmul", "linear")


def _kind(op: str) -> str:
    """ "aten::mean" of "aten.mean.dim": fvcore's operators are those of TorchScript."""
    namespace, packet = (op.split(".") + [""])[:2]
    return f"{namespace}::{packet}"


def _key(op: str, keys: dict[str, str]) -> str | None:
    return keys.get(op, keys.get(op.rpartition(".")[0]))


def _has_forward(module: nn.Module) -> bool:
    return type(module).forward is not nn.Module.forward and not isinstance(module, nn.Identity)


# ---- handles --------------------------------------------------------------------------------------------------------


class _Value:
    """As much of torch._C.Value as handles read: sizes of tensors, values of integers."""

    def __init__(self, value: TensorInfo | int | None) -> None:
        self._value = value

    def type(self) -> _Value:
        return self

    def isCompleteTensor(self) -> bool:  # noqa: N802  TorchScript's name
        return isinstance(self._value, TensorInfo)

    def sizes(self) -> list[int] | None:
        return list(self._value.shape) if isinstance(self._value, TensorInfo) else None

    def dim(self) -> int | None:
        return len(self._value.shape) if isinstance(self._value, TensorInfo) else None

    def toIValue(self) -> int | None:  # noqa: N802
        return None if isinstance(self._value, TensorInfo) else self._value


def _formula(kind: str, handle: Handle) -> OpFormula:
    def count(call: Call) -> int:
        namespace, packet, overload = call.name.split(".")
        schema = getattr(getattr(getattr(torch.ops, namespace), packet), overload)._schema
        inputs = [_Value(_argument(call, argument.name)) for argument in schema.arguments]
        outputs = [_Value(result) for result in _results(call, len(schema.returns))]
        answer = handle(inputs, outputs)
        return int(sum(answer.values()) if isinstance(answer, dict) else answer)

    return OpFormula(kind, False, count)


def _argument(call: Call, name: str) -> TensorInfo | int | None:
    try:
        return call[name]
    except KeyError:
        try:
            return call.int(name)
        except KeyError:
            return None


def _results(call: Call, count: int) -> list[TensorInfo | None]:
    results: list[TensorInfo | None] = []
    for index in range(count):
        try:
            results.append(call.result(index))
        except KeyError:
            results.append(None)
    return results


# ---- functions ------------------------------------------------------------------------------------------------------


def flop_count(
    model: nn.Module, inputs: tuple[Any, ...], supported_ops: dict[str, Handle] | None = None
) -> tuple[defaultdict[str, float], Counter[str]]:
    """GFLOPs by operator, and the operators that are not counted."""
    return _giga(FlopCountAnalysis(model, inputs), supported_ops)


def activation_count(
    model: nn.Module, inputs: tuple[Any, ...], supported_ops: dict[str, Handle] | None = None
) -> tuple[defaultdict[str, float], Counter[str]]:
    """Millions of activations by operator, and the operators that are not counted."""
    return _giga(ActivationCountAnalysis(model, inputs), supported_ops, 1e6)


def _giga(
    analysis: _ModuleAnalysis, handles: dict[str, Handle] | None, unit: float = 1e9
) -> tuple[defaultdict[str, float], Counter[str]]:
    for kind, handle in (handles or {}).items():
        analysis.set_op_handle(kind, handle)
    counts: defaultdict[str, float] = defaultdict(float)
    for key, count in analysis.by_operator().items():
        counts[key] = count / unit
    return counts, analysis.unsupported_ops()
