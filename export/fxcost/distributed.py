"""Distributed modules, recorded as one device runs them: local shards, and collectives as operators.

A process group without processes is enough: ``with fxcost.distributed.fake_group(8): ...`` makes one in which this
process is one of eight devices. Nothing is sent.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Collection, Iterator
from typing import Any
from unittest import mock

import torch
from torch.utils._python_dispatch import _disable_current_modes

_WHOLE = frozenset({torch.Tensor, torch.nn.Parameter})  # classes whose tensors are no parts of others


@contextlib.contextmanager
def fake_group(world_size: int, rank: int = 0) -> Iterator[None]:
    """The default process group of torch.distributed, for as many devices as are asked for, none of which exists."""
    import torch.distributed as dist
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group("fake", rank=rank, world_size=world_size, store=FakeStore())
    try:
        yield
    finally:
        dist.destroy_process_group()


def all_reduce_hook(state, bucket):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201  torch reads annotations
    """For ``DistributedDataParallel.register_comm_hook(None, ...)`` in a fake group: the all_reduce that DDP would run
    itself, whose result a fake group does not give back. ``state`` is the process group, or None for the usual one."""
    import torch.distributed as dist

    buffer = bucket.buffer()
    dist.all_reduce(buffer.div_(dist.get_world_size(state)), group=state)
    done = torch.futures.Future()
    done.set_result(buffer)
    return done


def local(tensor: Any) -> Any:
    """What this device holds of a DTensor; other tensors as they are."""
    if type(tensor) in _WHOLE:
        return tensor
    part = getattr(tensor, "_local_tensor", None)
    return part if isinstance(part, torch.Tensor) else tensor


def shard(tensor: torch.Tensor) -> torch.Tensor:
    """The same, which requires a gradient as the whole does."""
    part = local(tensor)
    return tensor if part is tensor else part.detach().requires_grad_(tensor.requires_grad)


def wait(result: Any) -> None:
    """Waits for collectives whose results nothing has used yet, as whoever uses them would."""
    for leaf in torch.utils._pytree.tree_leaves(result):
        waits = getattr(local(leaf), "wait", None)
        if isinstance(leaf, torch.Tensor) and waits is not None:
            waits()


def kind_of(modules: Collection[torch.nn.Module]) -> str | None:
    """How the modules of a model are spread over devices, None when they are not. Such a model keeps tensors and hooks
    beside its modules, which torch.export cannot trace and fake tensors cannot replace."""
    if "torch.distributed" not in sys.modules or not torch.distributed.is_available():
        return None
    from torch.nn.parallel import DistributedDataParallel

    for cls in {type(module) for module in modules}:
        if issubclass(cls, DistributedDataParallel):
            return "DistributedDataParallel"
        if cls.__name__ == "FullyShardedDataParallel" or hasattr(cls, "_get_fsdp_state"):
            return "FSDP"
    parameters = (tensor for module in modules for tensor in module._parameters.values() if tensor is not None)
    return "DTensor" if any(local(tensor) is not tensor for tensor in parameters) else None


def groups() -> dict[str, int]:
    """Names and sizes of the process groups of this process."""
    if "torch.distributed" not in sys.modules or not torch.distributed.is_initialized():
        return {}
    world = torch.distributed.distributed_c10d._world
    return {str(world.pg_names[group]): len(ranks) for group, ranks in world.pg_group_ranks.items()}


def group_name(value: Any) -> str | None:
    """The name of a process group that an operator is given as a script object; None for other values."""
    if not isinstance(value, torch.ScriptObject) or "ProcessGroup" not in str(value._type()):
        return None
    return str(torch.distributed.ProcessGroup.unbox(value).group_name)


def reshard(model: torch.nn.Module) -> None:
    """Puts the shards of fully_shard back where a forward has left whole parameters."""
    for module in model.modules():
        if hasattr(module, "_get_fsdp_state"):
            module.reshard()  # type: ignore[operator]


@contextlib.contextmanager
def propagation_unseen() -> Iterator[None]:
    """DTensor finds the sizes of a result by running the operator on fake tensors of the whole: nothing that any device
    does, so nothing that a recording sees."""
    module = sys.modules.get("torch.distributed.tensor._sharding_prop")
    cls = getattr(module, "ShardingPropagator", None)
    name = "_propagate_tensor_meta_non_cached"
    original = getattr(cls, name, None)
    if original is None:
        yield
        return

    def unseen(*args: Any, **kwargs: Any) -> Any:
        with _disable_current_modes():
            return original(*args, **kwargs)

    with mock.patch.object(cls, name, unseen):
        yield
