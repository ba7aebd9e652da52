"""What a capture gives: the bytes of a .fxir file, which can be saved."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from .errors import FxcostError


class Capture:
    """A captured program: the bytes of a .fxir file."""

    def __init__(self, data: bytes, model: str) -> None:
        self._data = data
        self.model = model

    def to_bytes(self) -> bytes:
        return self._data

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the file whole or not at all: under a temporary name first, then renamed."""
        target = Path(path)
        try:
            descriptor, temporary = tempfile.mkstemp(prefix=target.name + ".", suffix=".part", dir=target.parent)
        except OSError as error:
            raise FxcostError(f"{target}: cannot be written: {error.strerror}", status="IO") from None
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(self._data)
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)
            os.replace(temporary, target)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise FxcostError(f"{target}: cannot be written: {error.strerror}", status="IO") from None
        return target

    def __repr__(self) -> str:
        return f"<fxcost.Capture of {self.model}, {len(self._data):,} bytes>"
