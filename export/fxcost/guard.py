"""Capture leaves no trace: the model, the random state and torch's logging are put back, on failure too."""

from __future__ import annotations

import contextlib
import io
import logging
import random
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from typing import Any

import torch

_NOISY = ("torch", "transformers")


@contextlib.contextmanager
def unchanged(model: torch.nn.Module | None) -> Iterator[None]:
    """Restores what a forward pass may leave behind in a model and in the process."""
    with contextlib.ExitStack() as stack:
        stack.callback(_restore_random, _random_state())
        stack.callback(torch.set_grad_enabled, torch.is_grad_enabled())
        if model is not None:
            stack.enter_context(_model_unchanged(model))
        yield


def _random_state() -> dict[str, Any]:
    state: dict[str, Any] = {"python": random.getstate(), "torch": torch.get_rng_state()}
    if "numpy" in sys.modules:
        state["numpy"] = sys.modules["numpy"].random.get_state()
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def _restore_random(state: dict[str, Any]) -> None:
    random.setstate(state["python"])
    torch.set_rng_state(state["torch"])
    if "numpy" in state:
        sys.modules["numpy"].random.set_state(state["numpy"])
    if "cuda" in state:
        torch.cuda.set_rng_state_all(state["cuda"])


def _copied(value: Any) -> Any:
    """A module's registries are dictionaries that a forward may change; other attributes are kept by reference."""
    return value.copy() if isinstance(value, (dict, set)) else value


@contextlib.contextmanager
def _model_unchanged(model: torch.nn.Module) -> Iterator[None]:
    modules = [(module, {key: _copied(value) for key, value in vars(module).items()}) for module in model.modules()]
    tensors = [(tensor, tensor.requires_grad, tensor.grad) for tensor in model.parameters()]
    buffers = [(buffer, buffer._version, _snapshot(buffer)) for buffer in model.buffers()]
    try:
        yield
    finally:
        for module, attributes in modules:
            _restore_attributes(module, attributes)
        for tensor, requires_grad, grad in tensors:
            if tensor.requires_grad != requires_grad:
                tensor.requires_grad_(requires_grad)
            if tensor.grad is not grad:
                tensor.grad = grad
        for buffer, version, snapshot in buffers:
            # Batch norm's kernels write running statistics without a new version.
            if snapshot is not None and (buffer._version != version or not torch.equal(buffer, snapshot)):
                with torch.no_grad():
                    buffer.copy_(snapshot)


def _snapshot(buffer: torch.Tensor) -> torch.Tensor | None:
    if buffer.is_meta or isinstance(buffer, torch._subclasses.FakeTensor):
        return None
    return buffer.detach().clone()


def _restore_attributes(module: torch.nn.Module, attributes: dict[str, Any]) -> None:
    current = vars(module)
    for key in [key for key in current if key not in attributes]:
        del current[key]
    for key, value in attributes.items():
        now: Any = current.get(key)
        if isinstance(value, (dict, set)) and type(now) is type(value):
            if _differs(now, value):
                now.clear()
                now.update(value)
        elif now is not value:
            current[key] = value


def _differs(now: Any, before: Any) -> bool:
    """Compared by identity: tensors have no plain equality."""
    if isinstance(before, set):
        return bool(now != before)
    return list(now) != list(before) or any(now[key] is not before[key] for key in before)


class Noise:
    """Collects what torch logs and warns while it captures; written to a file only when capture fails."""

    def __init__(self) -> None:
        self.text = io.StringIO()

    @contextlib.contextmanager
    def collected(self) -> Iterator[None]:
        handler = logging.StreamHandler(self.text)
        loggers = [logging.getLogger(name) for name in _noisy_names()]
        before = [(logger, list(logger.handlers), logger.propagate) for logger in loggers]
        # Some parts of torch print the graph so far on stderr themselves.
        with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stderr(self.text):
            warnings.simplefilter("always")
            for logger in loggers:
                logger.handlers[:] = [handler]
                logger.propagate = False
            try:
                yield
            finally:
                for logger, handlers, propagate in before:
                    logger.handlers[:] = handlers
                    logger.propagate = propagate
                for warning in caught:
                    self.text.write(f"{warning.filename}:{warning.lineno}: {warning.message}\n")

    def save(self, error: BaseException) -> str:
        """Writes the log and the whole traceback; the file's name, or "" where none can be written."""
        try:
            with tempfile.NamedTemporaryFile(
                "w", prefix="fxcost-", suffix=".log", delete=False, encoding="utf-8", errors="replace"
            ) as file:
                file.write(self.text.getvalue())
                file.write("".join(traceback.format_exception(error)))
                return file.name
        except OSError:
            return ""


def _noisy_names() -> list[str]:
    """Loggers that print by handlers of their own, and the roots that the others hand their records to."""
    names = list(_NOISY)
    for name, logger in logging.Logger.manager.loggerDict.items():
        if name.split(".")[0] in _NOISY and isinstance(logger, logging.Logger) and logger.handlers:
            names.append(name)
    return list(dict.fromkeys(names))


class Progress:
    """Names the stage on stderr when that is a terminal, and erases it in the end."""

    def __init__(self, enabled: bool | None = None) -> None:
        self.stream = sys.stderr
        self.enabled = self.stream.isatty() if enabled is None else enabled

    def stage(self, text: str) -> None:
        if self.enabled:
            self.stream.write(f"\r\x1b[K{text}…")
            self.stream.flush()

    def done(self) -> None:
        if self.enabled:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
