"""fxcost.record: what runs inside a ``with`` block becomes a program, whatever runs."""

from __future__ import annotations

import contextlib
import gc
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..distributed import groups, kind_of, propagation_unseen
from ..errors import FxcostError, usage
from ..exporter import Capture, ambient, unusual_default
from ..forwards import Forwards
from ..kernels import launches_told
from ..modules import named_modules
from ..params import tensors_of

if TYPE_CHECKING:
    from ..binding import Program
    from ..report import Report
    from .ending import Ending
    from .totals import Totals
    from .write import Writer


class Recording:
    """What ran, and what it cost. Made by :func:`record`; the program is there once the block has ended."""

    def __init__(
        self,
        model: torch.nn.Module | None,
        name: str | None = None,
        inputs: dict[str, torch.Tensor] | None = None,
        fold: bool = True,
        attempts: bool = False,
    ) -> None:
        if model is not None and not isinstance(model, torch.nn.Module):
            raise usage(
                f"record() takes the torch.nn.Module to attribute to, not {type(model).__name__}",
                "with fxcost.record(model): ..., or record() without a model",
            )
        self.model = model
        self.name = name or (type(model).__name__ if model is not None else "recording")
        self._inputs, self._fold = inputs or {}, fold
        self._attempts = attempts  # whether an operator that fails is noted
        self.head: dict[str, Any] = {}  # what the program says of itself beside the usual
        self._stack: contextlib.ExitStack | None = None
        self._ending: Ending | None = None  # until the program is written
        self._capture: Capture | None = None
        self._program: Program | None = None
        self._totals: Totals | None = None

    # ---- recording --------------------------------------------------------------------------------------------------

    def __enter__(self) -> Recording:
        self.start()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is None:
            self.stop()
            return
        with contextlib.suppress(Exception):  # what the block raised matters more
            self.stop()

    def name_inputs(self, inputs: dict[str, torch.Tensor]) -> None:
        """Names for tensors that come from outside, in place of those given before."""
        self._inputs = inputs

    def start(self) -> None:
        """Begins to record. A second recording with the same object replaces the first."""
        if self._stack is not None:
            raise usage("this recording has started already", "stop() before the next start()")
        from .calls import calls_told
        from .modes import Attempts, Dispatch, Functions
        from .tape import Tape

        modules = [module for _, module in named_modules(self.model)] if self.model is not None else []
        tape = Tape(Forwards(modules))
        self._state = ambient()
        # fully_shard exchanges parameters while it runs: a device owns what it has before.
        self._tensors = tensors_of(self.model) if self.model is not None and kind_of(modules) else None
        self._training = self.model.training if self.model is not None else torch.is_grad_enabled()
        with contextlib.ExitStack() as stack:
            stack.enter_context(tape.phases.watching(lambda: tape.call))
            stack.enter_context(propagation_unseen())
            stack.enter_context(launches_told(tape.launched))
            stack.enter_context(calls_told(tape))
            stack.enter_context(Functions(tape))
            self._dispatch = stack.enter_context(Attempts(tape) if self._attempts else Dispatch(tape))
            self._stack = stack.pop_all()
        self._tape = tape
        self._ending = self._capture = self._program = self._totals = None

    def stop(self) -> None:
        """Ends the recording; totals and the program can be asked for. The program is of the model as it is now."""
        if self._stack is None:
            raise usage("this recording has not started", "start() first, or use it in a with statement")
        stack, self._stack = self._stack, None
        stack.close()
        from .ending import note

        try:
            with _uncollected():
                self._ending = note(self._tape, self.model, self._tensors, self._inputs)
        finally:
            self._tape.free()
            del self._dispatch, self._tensors
        self._state |= unusual_default()
        found = groups()
        if found:  # operators hold groups, whose names are known only as long as they exist
            self._state["groups"] = found
            self._write()

    def _write(self) -> None:
        from .write import Writer

        assert self._ending is not None
        with _uncollected():
            writer = Writer(self._tape, self._ending)
            writer.write(writer.find_folds() if self._fold else [])
            self._written(writer)
            self._capture = Capture(self._bytes(writer), self.name)
        self._ending = None
        del self._tape

    def _bytes(self, writer: Writer) -> bytes:
        for key, value in self._head(writer).items():
            writer.capture_entry(key, value)
        return writer.columns.to_bytes()

    def _written(self, writer: Writer) -> None:
        """What a recording of something in particular adds to its graph."""

    def _head(self, writer: Writer) -> dict[str, Any]:
        from .. import __version__

        head = {
            "producer": f"fxcost {__version__}",
            "torch": torch.__version__,
            "python": platform.python_version(),
            "model": self.name,
            "route": "record",
            "dialect": "executed path",
            **self._state,
            "training": self._training,
            "inputs": writer.describe_inputs(),
            "dtype": writer.params.main_dtype(),
        }
        return {**head, **self.head}

    # ---- what others put on the tape ---------------------------------------------------------------------------------

    def add_graph(self, module: torch.nn.Module, program: Any, inputs: list[Any], results: list[Any]) -> None:
        """An exported program in place of the open call of a module (recording/graphs.py)."""
        from .graphs import GraphWriter

        GraphWriter(self._tape, module).write(program, inputs, results)

    def add_opaque(self, module: torch.nn.Module) -> None:
        """What stands for the last call of a module that neither exports nor runs: the operator that failed, or where
        none did, one of the module's class."""
        from .graphs import add_opaque
        from .modes import Attempts

        if isinstance(self._dispatch, Attempts) and self._dispatch.failed:
            return
        rows = self._tape.calls
        call = next((index for index in reversed(range(len(rows))) if rows[index][0] is module), -1)
        add_opaque(self._tape, call, type(module))

    # ---- what it gives ----------------------------------------------------------------------------------------------

    @property
    def capture(self) -> Capture:
        """The captured program, as :func:`fxcost.capture` gives it."""
        if self._ending is not None:
            self._write()
        if self._capture is None:
            raise usage("nothing is recorded yet", "ask after the with block, or after stop()")
        return self._capture

    @property
    def program(self) -> Program:
        if self._program is None:
            from ..binding import Program

            self._program = Program.from_bytes(self.capture.to_bytes(), self.name)
        return self._program

    @property
    def totals(self) -> Totals:
        """What ran in all: FLOPs, MACs, what has no formula. Equal to what :meth:`report` says, and sooner there: as
        long as nobody has asked for the program, it need not be written."""
        from ..binding import Program
        from .kinds import Kinds
        from .totals import totals_of

        if self._totals is None:
            program = None
            if self._ending is not None:
                with _uncollected():
                    program = Program.from_bytes(self._bytes(Kinds(self._tape).writer()), self.name)
            self._totals = totals_of(program or self.program)
        return self._totals

    def report(self, device: str | None = None) -> Report:
        """What ran, by module, operator and node."""
        from ..report import Report

        return Report(self.program, device)

    def to_bytes(self) -> bytes:
        return self.capture.to_bytes()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the program to a .fxir file."""
        return self.capture.save(path)

    def __repr__(self) -> str:
        ended = self._ending is not None or self._capture is not None
        state = "recording" if self._stack is not None else "recorded" if ended else "nothing recorded"
        return f"<fxcost.Recording of {self.name}: {state}>"


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage collection: what is inside makes many small objects, which are gone when it ends."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def record(
    model: torch.nn.Module | None = None,
    *,
    name: str | None = None,
    inputs: dict[str, torch.Tensor] | None = None,
    fold: bool = True,
) -> Recording:
    """Records every operator that runs inside a ``with`` block: forward, backward, recomputation of checkpoints,
    optimiser, anything, on real, fake and meta tensors::

        with fxcost.record(model) as r:
            model(x).sum().backward()
        print(r.report())

    ``model`` is what the work is attributed to; modules outside of it get rows of their own. The program is the path
    that was executed: branches that were not taken are not in it. ``inputs`` gives names to tensors. A loop whose trips
    run the same operators is stored once (``fold=False`` writes it out), with the same totals.
    """
    return Recording(model, name, dict(inputs or {}), fold)


__all__ = ["FxcostError", "Recording", "record"]
