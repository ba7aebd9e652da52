"""Modules and functions of torch that ask for sizes before they call ATen, restated without the questions.

Each entry makes the call that the original comes to for inputs with a batch dimension. The arguments are proxies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

Rule = Callable[..., Any]


def module_rule(module: nn.Module) -> Rule | None:
    """What stands for ``module.forward``; None: forward itself."""
    for cls, rule in _MODULES.items():
        if isinstance(module, cls):
            return lambda *args, **kwargs: rule(module, *args, **kwargs)
    return None


# ---- modules --------------------------------------------------------------------------------------------------------


def _batch_norm(module: Any, x: Any) -> Any:
    batch_stats = module.training or (module.running_mean is None and module.running_var is None)
    keeps = not module.training or module.track_running_stats
    mean, var = (module.running_mean, module.running_var) if keeps else (None, None)
    if module.training and module.track_running_stats and module.num_batches_tracked is not None:
        _attribute(x, module.num_batches_tracked).add_(1)
    momentum = 0.0 if module.momentum is None else module.momentum
    return torch.batch_norm(
        x, module.weight, module.bias, mean, var, batch_stats, momentum, module.eps, torch.backends.cudnn.enabled
    )


def _instance_norm(module: Any, x: Any) -> Any:
    batch_stats = module.training or not module.track_running_stats
    momentum = 0.0 if module.momentum is None else module.momentum
    return torch.instance_norm(
        x,
        module.weight,
        module.bias,
        module.running_mean,
        module.running_var,
        batch_stats,
        momentum,
        module.eps,
        torch.backends.cudnn.enabled,
    )


def _attribute(x: Any, tensor: torch.Tensor) -> Any:
    """A tensor of the model as a proxy, so that what is done to it is recorded rather than done."""
    return x.tracer.proxy(x.tracer.create_arg(tensor))


_MODULES: dict[type, Rule] = {
    nn.modules.batchnorm._BatchNorm: _batch_norm,
    nn.modules.instancenorm._InstanceNorm: _instance_norm,
    nn.modules.padding._CircularPadNd: lambda module, x: F.pad(x, module.padding, "circular"),
    nn.Softmax2d: lambda module, x: torch.softmax(x, -3),
}


# ---- functions ------------------------------------------------------------------------------------------------------


def _batch_norm_function(
    input: Any,  # noqa: A002  the names are torch's
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    return torch.batch_norm(
        input, weight, bias, running_mean, running_var, training, momentum, eps, torch.backends.cudnn.enabled
    )


def _instance_norm_function(
    input: Any,  # noqa: A002
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    return torch.instance_norm(
        input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, torch.backends.cudnn.enabled
    )


def _group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:  # noqa: A002
    return torch.group_norm(input, num_groups, weight, bias, eps, torch.backends.cudnn.enabled)


def _embedding(
    input: Any,  # noqa: A002
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    if max_norm is not None:
        raise NotImplementedError("max_norm writes to the weight")
    return torch.embedding(weight, input, -1 if padding_idx is None else padding_idx, scale_grad_by_freq, sparse)


def _adaptive(function: Any, dims: int, first: bool = False) -> Rule:
    """Adaptive pooling: a size of None keeps that of the input."""

    def rule(input: Any, output_size: Any, return_indices: bool = False) -> Any:  # noqa: A002
        sizes = output_size if isinstance(output_size, (list, tuple)) else (output_size,) * dims
        sizes = [input.size(i - dims) if size is None else size for i, size in enumerate(sizes)]
        result = function(input, sizes)
        return result[0] if first and not return_indices else result

    return rule


def _norm(
    input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, out: Any = None, dtype: Any = None
) -> Any:  # noqa: A002
    """torch.norm of a dense tensor."""
    if out is not None or p == "nuc":
        raise NotImplementedError("norms of other kinds")
    order = 2 if p in (None, "fro") else p
    return torch.linalg.vector_norm(input, order, dim, keepdim, dtype=dtype)


def _feature_dropout(function: Any) -> Rule:
    def rule(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:  # noqa: A002
        return function[inplace](input, p, training)

    return rule


_DROPOUT = {False: torch.feature_dropout, True: torch.feature_dropout_}
FUNCTIONS: dict[Any, Rule] = {
    torch.norm: _norm,
    torch.Tensor.norm: _norm,
    F.dropout1d: _feature_dropout(_DROPOUT),
    F.dropout2d: _feature_dropout(_DROPOUT),
    F.dropout3d: _feature_dropout(_DROPOUT),
    F.glu: lambda input, dim=-1: torch._C._nn.glu(input, dim),  # noqa: A006
    F.batch_norm: _batch_norm_function,
    F.instance_norm: _instance_norm_function,
    F.group_norm: _group_norm,
    F.embedding: _embedding,
    F.adaptive_avg_pool2d: _adaptive(torch._C._nn.adaptive_avg_pool2d, 2),
    F.adaptive_avg_pool3d: _adaptive(torch._C._nn.adaptive_avg_pool3d, 3),
    F.adaptive_max_pool1d: _adaptive(torch.adaptive_max_pool1d, 1, first=True),
    F.adaptive_max_pool2d: _adaptive(torch._C._nn.adaptive_max_pool2d, 2, first=True),
    F.adaptive_max_pool3d: _adaptive(torch._C._nn.adaptive_max_pool3d, 3, first=True),
}
