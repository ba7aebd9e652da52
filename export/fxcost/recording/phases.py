"""Which part of a training step an operator belongs to: forward, backward, recomputation, optimiser."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import torch
import torch.utils.checkpoint
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from ..enums import bits

_task = torch._C._current_graph_task_id
_node = torch._C._current_autograd_node
_next_number = torch.autograd._get_sequence_nr
_grad = torch.is_grad_enabled

_ENGINE = torch.autograd.graph._engine_run_backward.__code__
_CHECKPOINT = torch.utils.checkpoint.__file__

NO_NUMBER = -1
ACCUMULATE = 2**64 - 1  # what autograd numbers the nodes with that add into .grad


def _computes_again() -> bool:
    """Whether a checkpoint calls, inside the backward pass that runs: its work may be the first of that pass."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code is not _ENGINE:
        if frame.f_code.co_filename == _CHECKPOINT:
            return True
        frame = frame.f_back
    return False


class Phases:
    """Flags of the operator that runs now, and the number by which autograd links backward to forward: in forward
    the number of the latest autograd node, in backward that of the node that runs."""

    def __init__(self) -> None:
        flags = bits("node_flag")
        self.backward, self.optimizer = flags["backward"], flags["optimizer"]
        self.accumulation, self.recomputed = flags["gradient_accumulation"], flags["recomputed"]
        self._steps = 0
        self._step_call = -1
        self._task = -1
        self._starting = False
        self._differentiable = False  # whether the current backward is itself differentiated (create_graph)
        self._call = -1

    def now(self, call: int) -> tuple[int, int]:
        task = _task()
        if task == -1:
            if self._steps and call == self._step_call:
                return self.optimizer, NO_NUMBER
            if self._starting:
                return self.backward, NO_NUMBER
            return 0, _next_number() - 1 if _grad() else NO_NUMBER
        if task != self._task:
            self._task, self._differentiable, self._call = task, _grad() and not _computes_again(), call
        if _grad() and (not self._differentiable or call != self._call):
            return self.recomputed, _next_number() - 1
        node = _node()
        if node is None:
            return self.backward | self.accumulation, NO_NUMBER
        number = node._sequence_nr()
        if number == ACCUMULATE:
            return self.backward | self.accumulation, NO_NUMBER
        return self.backward, number

    @contextlib.contextmanager
    def starting(self) -> Iterator[None]:
        """What autograd does before its first node, such as making the gradient of the loss."""
        before, self._starting = self._starting, True
        try:
            yield
        finally:
            self._starting = before

    @contextlib.contextmanager
    def watching(self, call: Any) -> Iterator[None]:
        """``call`` gives the current module call: what a closure of the optimiser runs inside modules is no step."""

        def before(*_: Any) -> None:
            self._steps += 1
            self._step_call = call()

        def after(*_: Any) -> None:
            self._steps -= 1

        handles = [register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
