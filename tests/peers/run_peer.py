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
from collections.abc import Callable
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
    return {"total": analysis.total(), "operators": dict(analysis.by_operator())}


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


PEERS: dict[str, Callable[[nn.Module, tuple[Any, ...]], Answer]] = {
    "flop_counter": flop_counter,
    "flop_counter-complete": flop_counter_complete,
    "fvcore": fvcore,
    "fvcore-activations": fvcore_activations,
    "thop": thop,
}


def run(peer: str, program: str) -> Answer:
    torch.manual_seed(0)
    model, args = PROGRAMS[program]()
    answer: Answer = {"peer": peer, "program": program}
    with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
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
