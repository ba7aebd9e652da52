"""In a training loop: what each step achieves. FLOPs are counted once for every shape of batch, by recording the step
in which that shape comes for the first time; every other step is only timed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from .binding import device_peak
from .recording import Recording


@dataclass(frozen=True)
class Work:
    """FLOPs of one pass through a block, of this process."""

    flops: int  # forward, backward, accumulation, recomputation
    model_flops: int  # matrix products and convolutions of forward and backward: what MFU counts
    again_flops: int  # those of what checkpoints compute again: MFU leaves them out, HFU does not
    optimizer_flops: int
    precision: str  # type of most of the model's FLOPs, "bf16"
    unknown: dict[str, int]  # operators without a formula


@dataclass(frozen=True)
class Step:
    """One step of this process; rates of samples and tokens are of all processes."""

    number: int
    seconds: float
    work: Work
    counted: bool  # this step was recorded, which slows it down
    optimized: bool  # the optimiser stepped
    samples: int
    tokens: int
    processes: int
    peak: float  # FLOP/s of the device, 0 where not known

    @property
    def flops(self) -> int:
        return self.work.flops + (self.work.optimizer_flops if self.optimized else 0)

    @property
    def flops_per_second(self) -> float:
        return self.flops / self.seconds

    @property
    def mfu(self) -> float | None:
        """Model FLOPs utilisation: forward and backward products over what the device could do meanwhile."""
        return self.work.model_flops / (self.seconds * self.peak) if self.peak else None

    @property
    def hfu(self) -> float | None:
        """Hardware FLOPs utilisation: with what checkpoints compute again."""
        done = self.work.model_flops + self.work.again_flops
        return done / (self.seconds * self.peak) if self.peak else None

    @property
    def samples_per_second(self) -> float:
        return self.samples * self.processes / self.seconds

    @property
    def tokens_per_second(self) -> float:
        return self.tokens * self.processes / self.seconds

    def __str__(self) -> str:
        parts = [f"step {self.number}", f"{self.seconds * 1e3:.1f} ms", f"{self.flops_per_second / 1e9:.1f} GFLOP/s"]
        if self.mfu is not None:
            parts.append(f"MFU {100 * self.mfu:.1f} %")
        parts.append(f"{self.samples_per_second:.1f} samples/s")
        if self.tokens:
            parts.append(f"{self.tokens_per_second:.0f} tokens/s")
        if self.work.unknown:
            parts.append(f"without {', '.join(self.work.unknown)}")
        return ", ".join(parts) + (" (counted: slower than usual)" if self.counted else "")


class StepMeter:
    """Three lines in a training loop::

        meter = fxcost.StepMeter(model, device="h100-sxm")
        for batch in loader:
            with meter.step(batch):
                loss = model(**batch).loss
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
            meter.log()

    The block may hold anything: autocast, several micro-batches, or one micro-batch of several between two steps of the
    optimiser. ``batch`` is what its shapes are told by. ``device`` names an entry of ``fxcost devices``, or
    ``peak_flops`` gives FLOP/s; without either there is no MFU. On a CUDA device the step waits for the device at both
    ends unless ``synchronize`` is False.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        *,
        device: str | None = None,
        peak_flops: float | None = None,
        synchronize: bool = True,
    ) -> None:
        self.model = _unwrapped(model)
        self.last: Step | None = None
        self.overhead_seconds = 0.0  # spent by the meter itself in steps that are not recorded
        self._device, self._peak = device, peak_flops
        self._cuda = synchronize and any(parameter.is_cuda for parameter in model.parameters())
        self._work: dict[Any, Work] = {}
        self._peaks: dict[str, float] = {}
        self._number = self._optimizer_flops = 0
        self._stepped = False
        if device is not None:
            device_peak(device, "f32")  # an unknown name is an error now, not in the loop

    @contextlib.contextmanager
    def step(self, *batch: Any, **named: Any) -> Iterator[None]:
        """Times the block; the first time for a shape of batch, records it."""
        entered = time.perf_counter()
        leaves = list(_leaves((batch, named)))
        key = (self.model.training, *[(leaf.shape, leaf.dtype) for leaf in leaves])
        work, recording = self._work.get(key), None
        if work is None:
            recording = Recording(self.model, "step")
            recording.start()
        self._stepped = False
        handle = register_optimizer_step_post_hook(self._note_optimizer)
        self._wait()
        begun = time.perf_counter()
        try:
            yield
        except BaseException:
            if recording is not None:
                recording.stop()
            raise
        finally:
            handle.remove()
        self._wait()
        ended = time.perf_counter()
        if recording is not None:
            recording.stop()
            work = self._work[key] = self._count(recording)
        assert work is not None
        self._number += 1
        samples, tokens = _sizes(leaves)
        processes = _processes()
        peak = self._peak_of(work.precision)
        counted, seconds = recording is not None, ended - begun
        self.last = Step(self._number, seconds, work, counted, self._stepped, samples, tokens, processes, peak)
        if not counted:
            self.overhead_seconds += (begun - entered) + (time.perf_counter() - ended)

    def log(self, write: Callable[[str], Any] = print) -> None:
        """Writes a line on the last step, from the first of several processes only."""
        if self.last is not None and _rank() == 0:
            write(str(self.last))

    def __str__(self) -> str:
        return str(self.last) if self.last is not None else "no step yet"

    # ---- inside -----------------------------------------------------------------------------------------------------

    def _count(self, recording: Recording) -> Work:
        report = recording.report()
        model, again, optimizer, all_flops = 0, 0, 0, 0
        by_type: dict[str, int] = {}
        for row in report.to_dict("node")["rows"]:
            matrix, all_flops = row["matrix_flops"], all_flops + row["flops"]
            if row["optimizer_flops"]:
                optimizer += row["flops"]
            elif row["recompute_flops"]:
                again += matrix
            elif matrix:
                model += matrix
                kind = row["shape"].partition("[")[0]
                by_type[kind] = by_type.get(kind, 0) + matrix
        by_type.pop("list", None)  # of several results: no one type
        precision = max(by_type, key=lambda kind: by_type[kind]) if by_type else "f32"
        self._optimizer_flops = optimizer or self._optimizer_flops  # a micro-batch may come without its step
        return Work(all_flops - optimizer, model, again, self._optimizer_flops, precision, report.unknown)

    def _peak_of(self, precision: str) -> float:
        if self._peak is not None:
            return self._peak
        if self._device is None:
            return 0.0
        found = self._peaks.get(precision)
        if found is None:
            found = self._peaks[precision] = device_peak(self._device, precision)
        return found

    def _note_optimizer(self, *_: Any) -> None:
        self._stepped = True

    def _wait(self) -> None:
        if self._cuda:
            torch.cuda.synchronize()


def _unwrapped(model: torch.nn.Module) -> torch.nn.Module:
    """The module inside a data-parallel wrapper: names then are the user's."""
    from torch.nn.parallel import DataParallel, DistributedDataParallel

    return model.module if isinstance(model, (DataParallel, DistributedDataParallel)) else model  # type: ignore[no-any-return]


def _leaves(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    elif hasattr(value, "items"):
        for _, item in value.items():
            yield from _leaves(item)


def _sizes(leaves: list[torch.Tensor]) -> tuple[int, int]:
    """Samples, the first dimension of the first tensor; tokens, its elements if it holds token numbers."""
    if not leaves or leaves[0].dim() == 0:
        return 0, 0
    first = leaves[0]
    tokens = first.numel() if first.dim() == 2 and first.dtype in (torch.int64, torch.int32) else 0
    return first.shape[0], tokens


def _processes() -> int:
    distributed = torch.distributed
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def _rank() -> int:
    distributed = torch.distributed
    return distributed.get_rank() if distributed.is_available() and distributed.is_initialized() else 0
