"""What is said of a model that cannot be captured."""

from __future__ import annotations

import os
import traceback

import torch

from .errors import FxcostError, first_line
from .watch import Watch


def explain(label: str, watch: Watch, error: Exception, log: str, how: str = "by torch.export") -> FxcostError:
    """At most five lines: what, module and source line, torch's reason, next step, log."""
    place = _user_frame(error)
    where = (
        " ".join(f"{path or 'the root module'} ({cls})" for path, cls in [watch.failed] if path is not None)
        if (watch.failed)
        else ""
    )
    lines = [f"{label} cannot be captured {how}"]
    if where or place:
        lines.append("  in:     " + ", ".join(part for part in (where, place) if part))
    lines += [f"  reason: {first_line(error)}", f"  try:    {_advice(error)}"]
    if log:
        lines.append(f"  log:    {log}")
    return FxcostError("\n".join(lines), status="CAPTURE", log=log)


def _user_frame(error: Exception) -> str:
    """file:line of the innermost frame that is neither torch's, nor ours, nor Python's own."""
    outside = (os.path.dirname(__file__), os.path.dirname(torch.__file__), os.path.dirname(os.__file__), "<")
    packages = os.path.join(os.path.dirname(os.__file__), "site-packages")
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(outside) or (
            frame.filename.startswith(packages) and not frame.filename.startswith(outside[:2])
        ):
            return f"{frame.filename}:{frame.lineno}"
    return ""


def _advice(error: Exception) -> str:
    text = f"{type(error).__name__} {error}"
    if "onstraints violated" in text or "dynamic_shapes" in text:
        return "widen or correct dynamic_shapes; Dim.AUTO in place of a named Dim lets torch choose"
    if "register a pytree" in text:
        return "register the class with torch.export.register_dataclass, or return tensors (caches: use_cache=False)"
    if "DataDependent" in text or "unbacked" in text or "data-dependent" in text:
        return "keep sizes and branches free of tensor values (.item(), nonzero), or use torch._check on them"
    if isinstance(error, TypeError) and not _user_frame(error):
        return "check that the example inputs match the model's forward()"
    if isinstance(error, RuntimeError) and ("shape" in text or "size" in text):
        return "check the shapes of the example inputs: does model(*inputs) run?"
    return "run model(*inputs) first; if that works, the log has torch's full explanation"
