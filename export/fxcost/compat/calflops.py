"""calflops' calculate_flops over a captured call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ..errors import usage
from .flops_profiler import FlopsProfiler
from .flops_profiler_text import annotated

__all__ = [
    "calculate_flops",
    "calculate_flops_hf",
    "flops_to_string",
    "generate_transformer_input",
    "macs_to_string",
    "params_to_string",
]

_LINE = "{:<70}  {:<8}"
_UNITS = {"T": 1e12, "G": 1e9, "M": 1e6, "K": 1e3, "": 1, "m": 1e-3, "u": 1e-6}


def number_to_string(num: float, units: str | None = None, precision: int = 2) -> str:
    """12.35 K."""
    if units is None:
        units = next((unit for unit, size in _UNITS.items() if num >= size), "" if num == 0 else "u")
    return f"{round(num / _UNITS.get(units, 1), precision):g} {units}"


def flops_to_string(flops: float, units: str | None = None, precision: int = 2) -> str:
    return f"{number_to_string(flops, units, precision)}FLOPS"


def macs_to_string(macs: float, units: str | None = None, precision: int = 2) -> str:
    return f"{number_to_string(macs, units, precision)}MACs"


def params_to_string(params_num: float, units: str | None = None, precision: int = 2) -> str:
    """With B for billions."""
    units = units.replace("B", "G") if units else units
    return number_to_string(params_num, units, precision).replace("G", "B").strip()


def generate_transformer_input(
    model_tokenizer: Any, input_shape: Sequence[int] | None, device: Any
) -> dict[str, torch.Tensor]:
    """What a tokenizer makes of an empty text, padded to (batch, length); 1 x 128 when no shape is given."""
    batch, length = input_shape or (1, 128)
    pad = {"input_ids": model_tokenizer.pad_token_id or 0, "attention_mask": 0, "token_type_ids": 0}
    inputs = {}
    for key, values in model_tokenizer("", add_special_tokens=True).items():
        filled = list(range(len(values), length)) if key == "position_ids" else [pad.get(key, 0)] * length
        row = [*values, *filled][:length]
        inputs[key] = torch.tensor([row] * batch, device=device)
    return inputs


def calculate_flops(
    model: nn.Module,
    input_shape: tuple[int, ...] | None = None,
    transformer_tokenizer: Any = None,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    forward_mode: str = "forward",
    include_backPropagation: bool = False,  # noqa: N803  calflops' name
    compute_bp_factor: float = 2.0,
    print_results: bool = True,
    print_detailed: bool = True,
    output_as_string: bool = True,
    output_precision: int = 2,
    output_unit: str | None = None,
    ignore_modules: Iterable[type[nn.Module]] | None = None,
) -> tuple[Any, Any, Any]:
    """FLOPs, MACs and trainable parameters of one run of a model, which is put into evaluation mode.

    It gets one tensor of ``input_shape``, what ``transformer_tokenizer`` makes at that shape, or ``args`` and
    ``kwargs``. The backward pass is taken as ``compute_bp_factor`` x forward, as calflops does;
    ``fxcost.analyze(..., mode="train")`` counts it.
    """
    if not isinstance(model, nn.Module):
        raise usage(f"calculate_flops() takes a torch.nn.Module, not {type(model).__name__}", "the model itself")
    if forward_mode not in ("forward", "generate"):
        raise usage(f"forward_mode={forward_mode!r}", "forward or generate")
    model.eval()
    parameter = next(model.parameters(), torch.empty(()))
    if transformer_tokenizer is not None and not args and not kwargs:
        kwargs = generate_transformer_input(transformer_tokenizer, input_shape, parameter.device)
    elif input_shape is not None:
        args = [torch.ones(tuple(input_shape), dtype=parameter.dtype, device=parameter.device)]
    if not args and not kwargs:
        raise usage("there is nothing to run the model on", "input_shape=, args= or kwargs=")
    args = [_moved(arg, parameter.device) for arg in args]
    kwargs = {key: _moved(arg, parameter.device) for key, arg in (kwargs or {}).items()}

    prof = FlopsProfiler(model, convention="calflops")
    prof.start_profile(ignore_list=ignore_modules)
    try:
        (model if forward_mode == "forward" else model.generate)(*args, **kwargs)  # type: ignore[operator]
        prof.stop_profile()
        flops, macs, params = prof.get_total_flops(), prof.get_total_macs(), _trainable(model)
        if print_results:
            print("\n".join(_lines(prof, compute_bp_factor, output_unit, output_precision, print_detailed)))
    finally:
        prof.end_profile()
    if include_backPropagation:
        flops, macs = flops * (1 + compute_bp_factor), macs * (1 + compute_bp_factor)
    if not output_as_string:
        return flops, macs, params
    how = output_unit, output_precision
    return flops_to_string(flops, *how), macs_to_string(macs, *how), params_to_string(params, *how)


def calculate_flops_hf(
    model_name: str,
    empty_model: nn.Module | None = None,
    input_shape: tuple[int, int] | None = None,
    trust_remote_code: bool = False,
    access_token: str = "",
    **options: Any,
) -> tuple[Any, Any, Any]:
    """:func:`calculate_flops` of a model of transformers by the name or folder of its configuration and tokenizer, on
    the meta device: no weights. ``options`` are calculate_flops's; code of a repository is not run unless
    ``trust_remote_code`` says so (calflops runs it)."""
    import transformers

    how: dict[str, Any] = {"trust_remote_code": trust_remote_code, "token": access_token or None}
    tokenizer = transformers.AutoTokenizer.from_pretrained(model_name, **how)
    if empty_model is None:
        config = transformers.AutoConfig.from_pretrained(model_name, **how)
        with torch.device("meta"):
            empty_model = transformers.AutoModel.from_config(config, trust_remote_code=trust_remote_code)
    device = next(empty_model.parameters()).device
    inputs = generate_transformer_input(tokenizer, input_shape, device)
    if device.type == "meta":
        inputs.pop("attention_mask", None)  # models ask it for its values; without one all positions count
    return calculate_flops(empty_model, kwargs=inputs, **options)


def _moved(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, torch.Tensor) else value


def _trainable(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def _lines(prof: FlopsProfiler, factor: float, units: str | None, precision: int, detailed: bool) -> Iterator[str]:
    flops, macs, params = prof.get_total_flops(), prof.get_total_macs(), _trainable(prof.model)
    yield "\n------------------------------------- Calculate Flops Results -------------------------------------"
    yield (
        "Notations:\nParams: elements of trainable parameters; MACs: multiply-adds; FLOPs: floating-point operations;\n"
        f"fwd, bwd: forward and backward pass; bwd is taken as {factor:.2f} x fwd\n"
    )
    yield _LINE.format("Total Training Params: ", params_to_string(params))
    yield _LINE.format("fwd MACs: ", macs_to_string(macs, units, precision))
    yield _LINE.format("fwd FLOPs: ", flops_to_string(flops, units, precision))
    yield _LINE.format("fwd+bwd MACs: ", macs_to_string(macs * (1 + factor), units, precision))
    yield _LINE.format("fwd+bwd FLOPs: ", flops_to_string(flops * (1 + factor), units, precision))
    yield _LINE.format("fwd FLOPs, every operator counted (fxcost): ", flops_to_string(prof.get_exact_flops()[0]))
    if detailed:
        yield "\n-------------------------------- Detailed Calculated FLOPs Results --------------------------------"
        yield "After the name of each module: params, MACs, FLOPs and their shares of the totals.\n"

        def share(part: float, whole: float) -> str:
            return f"{round(100 * part / whole, precision) if whole else 0:g}%"

        def items(module: nn.Module) -> Iterator[str]:
            _, own_flops, own_macs, _ = prof.of_module(module)
            own_params = _trainable(module)
            yield f"{params_to_string(own_params)} = {share(own_params, params)} Params"
            yield f"{macs_to_string(own_macs)} = {share(own_macs, macs)} MACs"
            yield f"{flops_to_string(own_flops)} = {share(own_flops, flops)} FLOPs"
            if module.extra_repr():
                yield module.extra_repr()

        with annotated(prof.model, items):
            yield str(prof.model)
    yield "---------------------------------------------------------------------------------------------------"
