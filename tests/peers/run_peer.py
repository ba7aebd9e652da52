"""Runs counters in their own environment: python run_peer.py PEER... < names of programs, one a line.

Prints one line of JSON for each peer and program: {"peer", "program", "total", "macs", "operators"}, or "error" where
the peer raises an exception. A fresh model for every run: several tools leave their marks on it.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from programs import PROGRAMS
from torch import nn

Answer = dict[str, Any]


def fvcore(model: nn.Module, args: tuple[Any, ...]) -> Answer:
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(model, args)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    operators = {key: count for key, count in analysis.by_operator().items() if count}
    return {"total": analysis.total(), "operators": operators, "modules": analysis.by_module()}


def fvcore_activations(model: nn.Module, args: tuple[Any, ...]) -> Answer:
    from fvcore.nn import ActivationCountAnalysis

    analysis = ActivationCountAnalysis(model, args)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    operators = {key: count for key, count in analysis.by_operator().items() if count}
    return {"total": analysis.total(), "operators": operators}


def flop_counter(model: nn.Module, args: tuple[Any, ...]) -> Answer:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model(*args)
    counts = counter.get_flop_counts().get("Global", {})
    operators = {str(op).removeprefix("aten."): count for op, count in counts.items() if count}
    return {"total": counter.get_total_flops(), "operators": operators}


def flop_counter_complete(model: nn.Module, args: tuple[Any, ...]) -> Answer:
    from torch.nn.attention import SDPBackend, sdpa_kernel

    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            return flop_counter(model, args)
    finally:
        torch.backends.mha.set_fastpath_enabled(True)


def thop(model: nn.Module, args: tuple[Any, ...]) -> Answer:
    import thop

    total, _, layers = thop.profile(model, args, verbose=False, ret_layer_info=True)
    modules: dict[str, float] = {}

    def collect(prefix: str, children: dict[str, Any]) -> None:
        for name, (count, _, below) in children.items():
            modules[prefix + name] = count
            collect(prefix + name + ".", below)

    collect("", layers)
    return {"total": total, "modules": modules}


def torch_profiler(model: nn.Module, args: tuple[Any, ...]) -> Answer:
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], with_flops=True, record_shapes=True) as profiler:
        model(*args)
    operators = {e.key.removeprefix("aten::"): e.flops for e in profiler.key_averages() if e.flops}
    return {"total": sum(operators.values()), "operators": operators}


def torchprofile(model: nn.Module, args: tuple[Any, ...]) -> Answer:
    from torchprofile import profile_macs

    operators: dict[str, int] = {}
    for node, count in profile_macs(model, args, reduction=None).items():
        key = node.operator.removeprefix("aten::")
        operators[key] = operators.get(key, 0) + count
    return {"total": sum(operators.values()), "operators": {key: count for key, count in operators.items() if count}}


def torchinfo(model: nn.Module, args: tuple[Any, ...]) -> Answer:
    from torchinfo import summary

    found = summary(model, input_data=list(args), verbose=0)
    operators: dict[str, int] = {}
    for layer in found.summary_list:
        if layer.is_leaf_layer and layer.macs:
            operators[layer.class_name] = operators.get(layer.class_name, 0) + layer.macs
    return {"total": found.total_mult_adds}


def ptflops(model: nn.Module, args: tuple[Any, ...]) -> Answer:
    """It takes one input, or several by name: the names are those of forward."""
    import inspect

    from ptflops import get_model_complexity_info

    names = list(inspect.signature(model.forward).parameters)
    given: Any = args[0] if len(args) == 1 else dict(zip(names, args, strict=False))
    total, _ = get_model_complexity_info(
        model, (1,), input_constructor=lambda _: given, backend="pytorch", as_strings=False, print_per_layer_stat=False
    )
    if total is None:
        raise RuntimeError("ptflops was not finished")
    return {"total": total}


def _profiler(profiler: Any, model: nn.Module, args: tuple[Any, ...], table: Callable[[Any], Any] | None) -> Answer:
    profiler.start_profile()
    try:
        model(*args)
        answer = {"total": profiler.get_total_flops(), "macs": profiler.get_total_macs()}
        if table is not None:
            rows = table(model)
            answer["operators"] = {name: rows[name].flops for name in rows if rows[name].flops}
    finally:
        profiler.end_profile()
    return answer


def flops_profiler(model: nn.Module, args: tuple[Any, ...]) -> Answer:
    from flops_profiler.profiler import FlopsProfiler

    return _profiler(FlopsProfiler(model), model, args, None)


def deepspeed(model: nn.Module, args: tuple[Any, ...]) -> Answer:
    from deepspeed.profiling.flops_profiler.profiler import FlopsProfiler

    return _profiler(FlopsProfiler(model), model, args, None)


def calflops(model: nn.Module, args: tuple[Any, ...]) -> Answer:
    from calflops import calculate_flops

    flops, macs, _ = calculate_flops(
        model, args=list(args), output_as_string=False, print_results=False, print_detailed=False
    )
    return {"total": flops, "macs": macs}


def torch_flops(model: nn.Module, args: tuple[Any, ...]) -> Answer:
    """It asks for the memory of a GPU even on a CPU, which is 0 here; and for a parameter of the traced model, which
    loses those that nothing uses."""
    for name in ("max_memory_allocated", "memory_allocated", "reset_peak_memory_stats"):
        setattr(torch.cuda, name, lambda *_args, **_kwargs: 0)
    from torch_flops import TorchFLOPsByFX

    counter = TorchFLOPsByFX(model)
    counter.graph_model.register_parameter("for_its_device", nn.Parameter(torch.zeros(1)))
    counter.propagate(*args)
    return {"total": counter.print_total_flops(show=False)}


PEERS: dict[str, Callable[[nn.Module, tuple[Any, ...]], Answer]] = {
    "flop_counter": flop_counter,
    "flop_counter-complete": flop_counter_complete,
    "torch_profiler": torch_profiler,
    "fvcore": fvcore,
    "fvcore-activations": fvcore_activations,
    "thop": thop,
    "ultralytics_thop": thop,
    "torchinfo": torchinfo,
    "torchprofile": torchprofile,
    "ptflops": ptflops,
    "flops_profiler": flops_profiler,
    "deepspeed": deepspeed,
    "calflops": calflops,
    "torch_flops": torch_flops,
}


@contextlib.contextmanager
def unpatched() -> Iterator[None]:
    """Puts torch's functions back: some peers leave their own behind, and would count twice the next time."""
    owners = (torch, torch.nn.functional, torch.Tensor)
    before = [dict(vars(owner)) for owner in owners]
    try:
        yield
    finally:
        for owner, functions in zip(owners, before, strict=True):
            for name, value in list(vars(owner).items()):
                if callable(value) and functions.get(name) is not value:
                    if name in functions:
                        setattr(owner, name, functions[name])
                    elif owner is torch.Tensor:
                        delattr(owner, name)


def run(peer: str, program: str) -> Answer:
    torch.manual_seed(0)
    model, args = PROGRAMS[program]()
    answer: Answer = {"peer": peer, "program": program}
    with (
        unpatched(),
        torch.no_grad(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        try:
            answer |= PEERS[peer](model.eval(), args)
        except Exception as error:  # noqa: BLE001  what a peer raises is an answer
            answer["error"] = f"{type(error).__name__}: {error}".split("\n")[0][:200]
    return answer


def _plain(value: Any) -> Any:
    number = float(value)
    return int(number) if number.is_integer() else number


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    out = sys.stdout
    for program in (line.rstrip("\n") for line in sys.stdin):
        for peer in sys.argv[1:]:
            print(json.dumps(run(peer, program), default=_plain), file=out, flush=True)


if __name__ == "__main__":
    main()
