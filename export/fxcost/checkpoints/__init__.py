"""Checkpoint files: what is in them, without running anything that they contain. Needs no torch."""

from .describe import as_json, as_text, next_step
from .files import Checkpoint, is_checkpoint, read
from .fit import check_fit

__all__ = ["Checkpoint", "as_json", "as_text", "check_fit", "is_checkpoint", "next_step", "read"]
