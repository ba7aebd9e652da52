"""What a model does between two points of a script: measured seconds of its modules and of the functions that they
call, and a captured program of every call that reaches it from outside, for its counts."""

from __future__ import annotations

import contextlib
import functools
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from ..binding import Analysis, Program
from ..conventions import LeftOut, count_as
from ..conventions import rows as convention_rows
from ..errors import FxcostError, usage
from ..exporter import capture
from ..functions import replaced
from ..report import Report

# Conventions of tools that add a module to each that holds it; DeepSpeed's adds it once.
PER_PARENT = ("flops_profiler", "calflops")
_PLAIN = (bool, int, float, complex, str, type(None), torch.dtype, torch.device)


@dataclass
class Entry:
    """Of one function inside one module: counted FLOPs and MACs, measured seconds."""

    flops: int = 0
    macs: int = 0
    duration: float = 0.0

    def add(self, other: Entry) -> None:
        self.flops += other.flops
        self.macs += other.macs
        self.duration += other.duration


Table = defaultdict[str, Entry]  # by name of function
Tables = defaultdict[nn.Module, Table]


@dataclass
class _Call:
    """A call from outside; others like it are counted in ``times``."""

    module: nn.Module
    like: Any  # equal for calls that do the same; None when that cannot be told
    program: Program
    step: Program | None  # with its backward pass
    times: int = 1


@dataclass
class Watch:
    """Watches a model from :meth:`start` to :meth:`stop`. Modules of the types in ``ignored`` are not watched: what
    their functions do is attributed to the module that calls them."""

    model: nn.Module
    convention: str
    ignored: tuple[type[nn.Module], ...] = ()
    backward: bool = False
    unseen: nn.Module | None = None  # one whose own functions the tool does not see
    seconds: Counter[nn.Module] = field(default_factory=Counter)
    failure: FxcostError | None = None

    def __post_init__(self) -> None:
        self.measured: Tables = defaultdict(lambda: defaultdict(Entry))
        self.unseen_flops = 0
        self._calls: list[_Call] = []
        self._open: list[tuple[nn.Module, float]] = []
        self._hooks: list[Any] = []
        self._patches = contextlib.ExitStack()
        self._busy, self.version = False, 0
        self._functions = [row.name for row in convention_rows(self.convention) if row.sight == "function"]
        self._cuda = any(parameter.is_cuda for parameter in self.model.parameters())

    # ---- watching ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        for module in self.model.modules():
            if type(module) not in self.ignored:
                self._hooks.append(module.register_forward_pre_hook(self._enter, prepend=True, with_kwargs=True))
                self._hooks.append(module.register_forward_hook(self._leave, always_call=True))
        self._patch()

    def stop(self) -> None:
        self._patches.close()
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        self._open.clear()

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        if self._busy:
            return
        if not self._open:
            self._count(module, args, kwargs)
        self._open.append((module, self._now()))

    def _leave(self, module: nn.Module, _args: Any, _out: Any) -> None:
        self.version += 1
        if self._busy or all(module is not entered for entered, _ in self._open):
            return
        while True:
            entered, since = self._open.pop()
            if entered is module:
                self.seconds[module] += self._now() - since  # type: ignore[assignment]
                return

    def _now(self) -> float:
        if self._cuda:
            torch.cuda.synchronize()
        return time.perf_counter()

    # ---- functions --------------------------------------------------------------------------------------------------

    def _patch(self) -> None:
        for path in self._functions:
            self._patches.enter_context(replaced(path, functools.partial(self._wrapper, path.rpartition(".")[2])))

    def _wrapper(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            if not self._open or self._busy:
                return original(*args, **kwargs)
            module, since = self._open[-1][0], self._now()
            try:
                return original(*args, **kwargs)
            finally:
                self.measured[module][name].duration += self._now() - since

        return call

    # ---- counting ---------------------------------------------------------------------------------------------------

    def _count(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        """Captures a call from outside before it runs, unless one like it is known."""
        if self.failure is not None:
            return
        like = _likeness(module, args, kwargs)
        for known in self._calls:
            if like is not None and known.module is module and known.like == like:
                known.times += 1
                return
        self._busy = True
        self._patches.close()
        try:
            self._calls.append(_Call(module, like, *self._captured(module, args, kwargs)))
        except FxcostError as error:  # the script goes on; whoever asks for counts is told
            self.failure = error
        finally:
            self._patch()
            self._busy = False

    def _captured(self, module: nn.Module, args: Any, kwargs: Any) -> tuple[Program, Program | None]:
        name = type(module).__name__
        program = Program.from_bytes(capture(module, args, dict(kwargs)).to_bytes(), name)
        if not self.backward or not torch.is_grad_enabled():
            return program, None
        return program, Program.from_bytes(capture(module, args, dict(kwargs), mode="train").to_bytes(), name)

    def tables(self) -> Tables:
        """What every module does itself, by function: counts of the convention, measured seconds."""
        if self.failure is not None:
            raise self.failure
        tables: Tables = defaultdict(lambda: defaultdict(Entry))
        for module, table in self.measured.items():
            for name, entry in table.items():
                tables[module][name].add(entry)
        for call in self._calls:
            for module, name, flops, macs in self._nodes(call):
                tables[module][name].add(Entry(flops * call.times, macs * call.times))
        if self.unseen is not None and self.unseen in tables:
            self.unseen_flops = sum(entry.flops for entry in tables.pop(self.unseen).values())
        return tables

    def _nodes(self, call: _Call) -> Iterator[tuple[nn.Module, str, int, int]]:
        told = count_as(call.program, self.convention)
        if told.failure or told.unknown_nodes:
            why = told.failure or f"{told.unknown_nodes} operators of which it cannot be told"
            raise usage(f"counting {type(call.module).__name__} as {self.convention}: {why}", "another convention=")
        names = dict(call.module.named_modules(remove_duplicate=False))
        analysis = Analysis(call.program, convention=self.convention)
        modules = analysis.report("module")["rows"]
        called = {row["name"] for row in modules if row["calls"]}
        owners = {name: self._owner(name, names, called) for name in names}
        holders = _holders(call.module) if self.convention in PER_PARENT else Counter(call.module.modules())
        for row in analysis.report("node")["rows"]:
            inside = row["module"] if row["module"] in names else ""
            owner = owners[inside]
            if (row["tool"] or row["tool_macs"]) and owner is not None:
                # The convention has what the tree's sum makes of a module with several parents.
                times = holders[names[inside]]
                yield owner, _function(row["op"], told.operators), row["tool"] // times, row["tool_macs"] // times

    def _owner(self, name: str, names: dict[str, nn.Module], called: set[str]) -> nn.Module | None:
        """The module of this name; of one that is not watched, the first one above it that is, and that is called."""
        if type(names[name]) not in self.ignored:
            return names[name]
        while name:
            name = name.rpartition(".")[0]
            if type(names[name]) not in self.ignored and (name in called or not name):
                return names[name]
        return None

    def exact(self) -> tuple[int, int | None]:
        """fxcost's own FLOPs, every operator counted: of the forward pass, and of the backward pass if captured."""
        if self.failure is not None:
            raise self.failure
        forward = sum(Report(call.program).flops * call.times for call in self._calls)
        if not self._calls or any(call.step is None for call in self._calls):
            return forward, None
        steps = ((Report(call.step).phases, call.times) for call in self._calls if call.step is not None)
        return forward, sum((phases["backward"] + phases["accumulation"]) * times for phases, times in steps)

    def left_out(self) -> list[LeftOut]:
        """Operators that the convention does not count, with fxcost's own counts for them."""
        return [entry for call in self._calls for entry in count_as(call.program, self.convention).left_out]


def _likeness(module: nn.Module, args: Any, kwargs: Any) -> Any:
    leaves, spec = pytree.tree_flatten((tuple(args), dict(kwargs)))
    seen: list[Any] = []
    for leaf in leaves:
        if isinstance(leaf, torch.Tensor):
            seen.append((tuple(leaf.shape), leaf.dtype, leaf.requires_grad))
        elif isinstance(leaf, _PLAIN):
            seen.append((type(leaf), leaf))
        else:
            return None
    return spec, seen, [child.training for child in module.modules()], torch.is_grad_enabled()


def _holders(root: nn.Module) -> Counter[nn.Module]:
    """How many modules hold each directly."""
    holders = Counter(child for module in root.modules() for child in module.children())
    holders[root] = 1
    return holders


def _function(op: str, known: dict[str, Any]) -> str:
    """The function's name among those that were counted: "linear" of "aten.linear.default"."""
    packet = op.split(".")[1]
    names = [name for name in known if name in (packet, packet.rstrip("_"))]
    return names[0] if names else {"upsample": "interpolate"}.get(packet.split("_")[0], packet)
