"""Modules and functions of torch that ask for sizes before they call ATen, restated without the questions.

Each entry makes the call that the original comes to for inputs with a batch dimension. The arguments are proxies.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from .proxies import Known, known, transparent

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
        module.num_batches_tracked.add_(1)
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


def _zeros(x: Any, like: torch.Tensor, *sizes: Any) -> Any:
    """torch.zeros of sizes of which some are proxies, which torch.zeros does not take."""
    kwargs = {"dtype": like.dtype, "device": like.device}
    return x.tracer.create_proxy("call_function", torch.zeros, (sizes,), kwargs)


def _recurrent(module: Any, x: Any, hx: Any = None) -> Any:
    weights = module._flat_weights
    if hx is None:
        rows = module.num_layers * (2 if module.bidirectional else 1)
        batch = x.size(0 if module.batch_first else 1)
        hx = _zeros(x, weights[0], rows, batch, module.proj_size or module.hidden_size)
        if module.mode == "LSTM":
            hx = (hx, _zeros(x, weights[0], rows, batch, module.hidden_size))
    run = getattr(torch._VF, module.mode.lower())
    numbers = (module.bias, module.num_layers, module.dropout, module.training, module.bidirectional)
    result = run(x, hx, weights, *numbers, module.batch_first)
    return (result[0], (result[1], result[2])) if module.mode == "LSTM" else (result[0], result[1])


def _cell(module: Any, x: Any, hx: Any = None) -> Any:
    weights = (module.weight_ih, module.weight_hh, module.bias_ih, module.bias_hh)
    if hx is None:
        hx = _zeros(x, weights[0], x.size(0), module.hidden_size)
        hx = (hx, hx) if isinstance(module, nn.LSTMCell) else hx
    if isinstance(module, nn.LSTMCell):
        result = torch._VF.lstm_cell(x, hx, *weights)
        return result[0], result[1]
    name = "gru_cell" if isinstance(module, nn.GRUCell) else f"rnn_{module.nonlinearity}_cell"
    return getattr(torch._VF, name)(x, hx, *weights)


def _batched(x: Any, module: nn.Module, features: int) -> Any:
    """A batch of sequences."""
    like = next(module.parameters())
    return known(x, (x.size(0), x.size(1), features), like)


def _attention(module: Any, query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
    same_key, same_value = key is query, value is key
    query = _batched(query, module, module.embed_dim)
    key = query if same_key else _batched(key, module, module.kdim)
    value = key if same_value else _batched(value, module, module.vdim)
    return module.forward(query, key, value, *args, **kwargs)


def _attention_function(query: Any, key: Any, value: Any, embed_dim: int, *args: Any, **kwargs: Any) -> Any:
    """F.multi_head_attention_forward, whose arguments have the sequence first."""
    function: Any = F.multi_head_attention_forward
    in_weight = args[1] if len(args) > 1 else kwargs["in_proj_weight"]
    separate = [kwargs.get(f"{name}_proj_weight") for name in "qkv"]
    like = in_weight if in_weight is not None else separate[0]
    features = [embed_dim if weight is None else weight.shape[1] for weight in separate]
    same_key, same_value = key is query, value is key
    query = known(query, (query.size(0), query.size(1), features[0]), like)
    key = query if same_key else known(key, (key.size(0), key.size(1), features[1]), like)
    value = key if same_value else known(value, (*key.shape[:2], features[2]), like)
    return transparent(function)(query, key, value, embed_dim, *args, **kwargs)


def _transformer_layer(module: Any, src: Any, *args: Any, **kwargs: Any) -> Any:
    return module.forward(_batched(src, module, module.linear1.in_features), *args, **kwargs)


def _transformer_stack(module: Any, src: Any, *args: Any, **kwargs: Any) -> Any:
    return module.forward(_batched(src, module, module.layers[0].linear1.in_features), *args, **kwargs)


_MODULES: dict[type, Rule] = {
    nn.modules.batchnorm._BatchNorm: _batch_norm,
    nn.modules.instancenorm._InstanceNorm: _instance_norm,
    nn.modules.padding._CircularPadNd: lambda module, x: F.pad(x, module.padding, "circular"),
    nn.Softmax2d: lambda module, x: torch.softmax(x, -3),
    nn.RNNBase: _recurrent,
    nn.RNNCellBase: _cell,
    nn.MultiheadAttention: _attention,
    nn.TransformerEncoderLayer: _transformer_layer,
    nn.TransformerDecoderLayer: _transformer_layer,
    nn.TransformerEncoder: _transformer_stack,
    nn.TransformerDecoder: _transformer_stack,
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


def _loss(function: Any, *extra: str) -> Rule:
    """A loss of two tensors, with the sizes that they are to have."""

    def rule(input: Any, target: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: A002
        given = inspect.signature(function).bind(input, target, *args, **kwargs)
        given.apply_defaults()
        if given.arguments.get("weight") is not None and "weight" not in extra:
            raise NotImplementedError("a weighted loss is a product of its own")
        inner = getattr(torch._C._nn, function.__name__, None) or getattr(torch, function.__name__)
        values = [given.arguments[name] for name in extra]
        reduction = torch.nn._reduction.get_enum(given.arguments["reduction"])
        if function is F.smooth_l1_loss or function is F.huber_loss:
            return inner(input, target, reduction, *values)
        return inner(input, target, *values, reduction)

    return rule


def _kl_div(
    input: Any,  # noqa: A002
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Any:
    batch = reduction == "batchmean"
    reduced = torch.kl_div(
        input, target, torch.nn._reduction.get_enum("sum" if batch else reduction), log_target=log_target
    )
    return reduced / input.size(0) if batch else reduced


def _meshgrid(*tensors: Any, indexing: str | None = None) -> Any:
    inner = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    functions: Any = torch._C._VariableFunctions
    return functions.meshgrid(list(inner), **({} if indexing is None else {"indexing": indexing}))


def _dtype_of(value: Any) -> torch.dtype:
    if not isinstance(value, Known):
        raise NotImplementedError("the element type is not known")
    return value.dtype


def _feature_dropout(function: Any) -> Rule:
    def rule(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:  # noqa: A002
        return function[inplace](input, p, training)

    return rule


_DROPOUT = {False: torch.feature_dropout, True: torch.feature_dropout_}
FUNCTIONS: dict[Any, Rule] = {
    F.mse_loss: _loss(F.mse_loss),
    F.l1_loss: _loss(F.l1_loss),
    F.smooth_l1_loss: _loss(F.smooth_l1_loss, "beta"),
    F.huber_loss: _loss(F.huber_loss, "delta"),
    F.binary_cross_entropy: _loss(F.binary_cross_entropy, "weight"),
    F.binary_cross_entropy_with_logits: _loss(F.binary_cross_entropy_with_logits, "weight", "pos_weight"),
    F.kl_div: _kl_div,
    torch.meshgrid: _meshgrid,
    torch.norm: _norm,
    torch.Tensor.norm: _norm,
    F.dropout1d: _feature_dropout(_DROPOUT),
    F.dropout2d: _feature_dropout(_DROPOUT),
    F.dropout3d: _feature_dropout(_DROPOUT),
    F.glu: lambda input, dim=-1: torch._C._nn.glu(input, dim),  # noqa: A006
    F.batch_norm: _batch_norm_function,
    F.multi_head_attention_forward: _attention_function,
    torch.is_floating_point: lambda input: _dtype_of(input).is_floating_point,  # noqa: A006
    F.instance_norm: _instance_norm_function,
    F.group_norm: _group_norm,
    F.embedding: _embedding,
    F.adaptive_avg_pool2d: _adaptive(torch._C._nn.adaptive_avg_pool2d, 2),
    F.adaptive_avg_pool3d: _adaptive(torch._C._nn.adaptive_avg_pool3d, 3),
    F.adaptive_max_pool1d: _adaptive(torch.adaptive_max_pool1d, 1, first=True),
    F.adaptive_max_pool2d: _adaptive(torch._C._nn.adaptive_max_pool2d, 2, first=True),
    F.adaptive_max_pool3d: _adaptive(torch._C._nn.adaptive_max_pool3d, 3, first=True),
}
