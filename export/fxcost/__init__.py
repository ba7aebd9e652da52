"""fxcost: what a PyTorch model costs, op by op."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import FxcostError

if TYPE_CHECKING:
    from .compiling import compiled
    from .exporter import Capture, capture
    from .formulas import formula, metric
    from .measuring import measure
    from .meter import StepMeter
    from .recording import Recording, record
    from .report import Report, analyze, open

__version__ = "0.1.0"
__all__ = [
    "Capture",
    "FxcostError",
    "Recording",
    "Report",
    "StepMeter",
    "analyze",
    "capture",
    "compiled",
    "formula",
    "measure",
    "metric",
    "open",
    "record",
]

# torch takes seconds to import and reading a .fxir file does not need it, so everything loads when first used.
_HOME = {
    "capture": "exporter",
    "Capture": "exporter",
    "compiled": "compiling",
    "analyze": "report",
    "Report": "report",
    "open": "report",
    "formula": "formulas",
    "metric": "formulas",
    "measure": "measuring",
}
_HOME |= {"record": "recording", "Recording": "recording", "StepMeter": "meter"}
_MODULES = ("compat", "compiler", "distributed", "generation")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    if name in _HOME:
        if name in ("capture", "record"):
            from .versions import check

            check()

        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
