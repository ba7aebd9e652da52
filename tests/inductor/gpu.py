"""Inductor's schedule for an NVIDIA GPU, on a machine without one: the exported graph with fake tensors on "cuda", and
the figures of an A100 where Inductor asks the device for its own. No kernel is generated, so neither Triton nor a
driver is needed.

    gpu_truth(module, inputs) -> Graph
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch._dynamo import device_interface
from torch._inductor import config as inductor_config
from torch._inductor import scheduler
from truth import Graph, _backend, _schedules

import fxcost
from fxcost.absent import absent
from fxcost.lowered import to_lower

# How reductions are split follows from the number of multiprocessors and their threads.
DEVICE = SimpleNamespace(
    name="NVIDIA A100",
    major=8,
    minor=0,
    multi_processor_count=108,
    regs_per_multiprocessor=65536,
    max_threads_per_multi_processor=2048,
    max_threads_per_block=1024,
    warp_size=32,
    total_memory=80 << 30,
    gcnArchName="",
)
_ANSWERS: dict[str, Callable[..., Any]] = {
    "get_device_properties": lambda device=None: DEVICE,
    "get_device_capability": lambda device=None: (DEVICE.major, DEVICE.minor),
    "current_device": lambda: 0,
    "device_count": lambda: 1,
    "set_device": lambda device: None,
    "synchronize": lambda device=None: None,
    "device": lambda *_: contextlib.nullcontext(),
    "get_device_name": lambda device=None: DEVICE.name,
    "is_bf16_supported": lambda *_, **__: True,
}


def gpu_truth(module: torch.nn.Module, inputs: tuple[Any, ...], options: dict[str, Any] | None = None) -> Graph:
    """The kernels of inference on a GPU. ``options`` are settings of torch._inductor.config."""
    with torch.no_grad():
        exported = torch.export.export(module, inputs)
        graph, fakes = to_lower(exported, "cuda")
        with (
            gpu(),
            inductor_config.patch({"fx_graph_cache": False, **(options or {})}),
            fxcost.compiled() as programs,
            _schedules() as graphs,
        ):
            try:
                _backend(graph, fakes)
            except Exception:
                if len(graphs) != 1:
                    raise
    (found,) = graphs
    (found.program,) = programs
    return found


@contextlib.contextmanager
def gpu() -> Iterator[None]:
    """Inductor schedules for a GPU that is not there."""
    interface = device_interface.CudaInterface
    with contextlib.ExitStack() as stack:

        def patch(owner: Any, name: str, value: Any) -> None:
            stack.enter_context(mock.patch.object(owner, name, value))

        for name, answer in _ANSWERS.items():
            patch(torch.cuda, name, answer)
            if hasattr(interface, name):
                patch(interface, name, staticmethod(answer))
        patch(interface, "exchange_device", staticmethod(lambda device: 0))
        patch(interface, "maybe_exchange_device", staticmethod(lambda device: 0))
        patch(interface, "get_compute_capability", staticmethod(lambda device=None: 10 * DEVICE.major + DEVICE.minor))
        patch(interface.Worker, "get_device_properties", staticmethod(lambda device=None: DEVICE))
        patch(scheduler, "has_triton", lambda *_: True)
        stack.enter_context(absent("cuda"))
        yield
