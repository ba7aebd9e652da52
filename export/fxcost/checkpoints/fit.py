"""Whether the tensors of a checkpoint are those of a model: missing, unexpected, and of another shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import FxcostError
from .files import Checkpoint
from .inert import Described

if TYPE_CHECKING:
    import torch

_PREFIXES = ("", "module.", "_orig_mod.", "model.", "module._orig_mod.")


@dataclass
class Fit:
    missing: list[str]
    unexpected: list[str]
    shapes: list[str]
    prefix: str = ""  # before every key of the file: of a wrapper such as DataParallel

    def __bool__(self) -> bool:
        return not (self.missing or self.unexpected or self.shapes)

    def __len__(self) -> int:
        return len(self.missing) + len(self.unexpected) + len(self.shapes)


def fit(tensors: dict[str, Described], module: torch.nn.Module) -> Fit:
    """Compares by name and shape, under the prefix of a wrapper if that fits better."""
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items() if hasattr(tensor, "shape")}
    fits = [
        _under(prefix, tensors, expected)
        for prefix in _PREFIXES
        if not prefix or any(name.startswith(prefix) for name in tensors)
    ]
    return min(fits, key=len)


def _under(prefix: str, tensors: dict[str, Described], expected: dict[str, tuple[int, ...]]) -> Fit:
    given = {name[len(prefix) :] if name.startswith(prefix) else name: tensor for name, tensor in tensors.items()}
    return Fit(
        [name for name in expected if name not in given],
        [name for name in given if name not in expected],
        [
            f"{name} is {list(given[name].shape)} in the file and {list(shape)} in the model"
            for name, shape in expected.items()
            if name in given and given[name].shape != shape
        ],
        prefix,
    )


def check_fit(checkpoint: Checkpoint, model: str, module: torch.nn.Module) -> None:
    """Raises FxcostError, with the keys, where a checkpoint's tensors are not those of a model."""
    found = min((fit(tensors, module) for tensors in checkpoint.sections.values()), key=len, default=None)
    if found is None:
        raise FxcostError(f"{checkpoint.path}: it holds no tensors, but {checkpoint.cls}", status="USAGE")
    if not found:
        raise FxcostError(summary(str(checkpoint.path), model, found), status="USAGE", details=listing(found))


def summary(path: str, model: str, found: Fit) -> str:
    """In at most five lines."""
    lines = [f"{path} does not fit {model}"]
    for title, entries in (("missing", found.missing), ("unexpected", found.unexpected), ("shapes", found.shapes)):
        if entries:
            count = 1 if title == "shapes" else 3
            more = ", …" if len(entries) > count else ""
            lines.append(f"  {title + ':':<12}{len(entries)}: {', '.join(entries[:count])}{more}")
    lines.append("  try:        --set for other sizes, or another class; the whole list is on standard output")
    return "\n".join(lines)


def listing(found: Fit) -> str:
    rows = [*(f"missing     {name}" for name in found.missing), *(f"unexpected  {name}" for name in found.unexpected)]
    return "".join(f"{row}\n" for row in [*rows, *(f"shape       {text}" for text in found.shapes)])
