"""torch.utils.flop_counter's FlopCounterMode over a recording."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils import flop_counter

from ..binding import Analysis
from ..conventions import LeftOut, count_as
from ..errors import usage
from ..recording import Recording


class FlopCounterMode(flop_counter.FlopCounterMode):
    """Counts what runs inside the ``with`` block, as torch.utils.flop_counter.FlopCounterMode does: ``mods`` is not
    needed, ``depth`` and ``display`` say what is printed at the end.

    ``convention="flop_counter-complete"`` also counts fused attention, which torch's own does not see on a CPU.
    Beyond torch's methods there are :attr:`recording`, which has everything that fxcost knows, and :meth:`left_out`.
    """

    def __init__(
        self,
        mods: Any = None,
        depth: int = 2,
        display: bool = True,
        custom_mapping: dict[Any, Any] | None = None,
        *,
        convention: str = "flop_counter",
    ) -> None:
        if custom_mapping:
            raise usage(
                "FlopCounterMode of fxcost takes no custom_mapping",
                "fxcost.record() and formulas=[fxcost.formula(...)]",
            )
        super().__init__(None, depth, display)
        self.convention = convention
        self.recording: Recording | None = None

    def __enter__(self) -> FlopCounterMode:
        self.flop_counts.clear()
        self.recording = Recording(None)
        self.recording.start()
        return self

    def __exit__(self, *error: Any) -> None:
        assert self.recording is not None
        self.recording.stop()
        self._fill(self.recording)
        if self.display:
            print(self.get_table(self.depth))

    def _fill(self, recording: Recording) -> None:
        """flop_counts by module and operator, which torch's own methods and table read. Like torch, a module counts
        what runs inside its calls, whoever holds it; one that several hold has one name here, and in torch one for
        each."""
        for row in Analysis(recording.program, convention=self.convention).report("node")["rows"]:
            for name in dict.fromkeys([*row.get("callers", ()), ""]) if row["tool"] else ():
                self.flop_counts[name or "Global"][_packet(row["op"])] += row["tool"]

    def left_out(self) -> list[LeftOut]:
        """Operators that the convention does not count, with fxcost's own counts for them."""
        if self.recording is None:
            raise usage("nothing was counted yet", "with FlopCounterMode() as counter: model(x)")
        return count_as(self.recording.program, self.convention).left_out


def _packet(name: str) -> Any:
    """``torch.ops.aten.mm`` of "aten.mm.default"; torch's tables have it as the key."""
    namespace, packet = name.split(".")[:2]
    return getattr(getattr(torch.ops, namespace), packet)
