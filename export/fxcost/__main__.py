"""``python -m fxcost MODEL -o FILE``: captures a model into a .fxir file. The ``fxcost`` command calls this."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .binding import Status
from .errors import FxcostError

if TYPE_CHECKING:
    from .exporter import Capture


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fxcost", description="Capture a model into a .fxir file.")
    parser.add_argument(
        "model",
        help="FILE.py[:NAME], package.module:NAME, hf:MODEL_TYPE, hf:PATH/config.json, timm:NAME, .pt2, .pth ...",
    )
    parser.add_argument("-o", "--output", required=True, help="the .fxir file to write")
    parser.add_argument("--batch", type=int, help="batch size of the example inputs")
    parser.add_argument("--seq", type=int, help="sequence length")
    parser.add_argument("--image", type=_image, help="height, or HEIGHTxWIDTH, of images")
    parser.add_argument("--dtype", help="dtype of the parameters")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the config")
    parser.add_argument("--input", action="append", default=[], metavar="NAME=f32[2,3]", help="an example input")
    parser.add_argument("--dynamic", action="append", default=[], metavar="NAMES", help="dimensions that may vary")
    parser.add_argument("--train", action="store_true", help="a training step: forward and backward, in training mode")
    parser.add_argument("--eval", action="store_true", help="with --train: modules in evaluation mode")
    parser.add_argument("--forward", action="store_true", help="with --train: the forward pass alone")
    parser.add_argument("--input-grad", action="store_true", help="with --train: gradients of the inputs too")
    parser.add_argument("--grad", action="store_true", help="capture with gradients enabled")
    parser.add_argument("--strict", action="store_true", help="use torch.export's strict mode")
    parser.add_argument("--route", default="auto", help="auto, export, record or submodules")
    parser.add_argument("--record", action="store_true", help="the same as --route record")
    parser.add_argument("--method", metavar="CALL", help="another method than forward: 'generate(max_new_tokens=16)'")
    parser.add_argument("--fx", action="store_true", help="trace with torch.fx: no example inputs, no shapes")
    parser.add_argument("--lowered", action="store_true", help="with the graph that torch's compiler fuses")
    parser.add_argument(
        "--lowered-for", metavar="DEVICE", help="the same for a device, cuda say, which need not be there"
    )
    parser.add_argument("--model", dest="architecture", help="the model that a checkpoint file is for")
    parser.add_argument("--trust-pickle", action="store_true", help="unpickle a module: runs code that the file holds")
    parser.add_argument("--depth", type=int, help="levels of modules when a checkpoint is listed")
    parser.add_argument("--raw", action="store_true", help="exact numbers there")
    parser.add_argument("--forward-pass", help="with --train: a second file, the forward pass alone")
    parser.add_argument("--decode-step", help="a first pass with a cache, and to this file a step over it")
    parser.add_argument("--check", action="store_true", help="compare with FlopCounterMode; writes no file")
    parser.add_argument("--measure", action="store_true", help="run the model and its operators, and keep the times")
    parser.add_argument("--repeats", type=int, default=10, help="runs that are measured")
    parser.add_argument("--warmup", type=int, default=3, help="runs before them")
    parser.add_argument("--compiled", action="store_true", help="measure torch.compile's form too")
    parser.add_argument("--annotate", metavar="TRACE", help="match a trace of torch.profiler; -o is the trace to write")
    parser.add_argument("--device", help="with --annotate: predict times on a device")
    parser.add_argument("--format", default="tree", help="json for a listing as JSON")
    return parser


def _listed(arguments: argparse.Namespace) -> bool:
    """Lists a checkpoint file that names no model. Needs no torch."""
    from .checkpoints import as_json, as_text, is_checkpoint, next_step, read

    if arguments.architecture or arguments.trust_pickle or not is_checkpoint(arguments.model):
        return False
    found = read(Path(arguments.model))
    if found.kind == "pt2":
        return False
    if found.tensors and arguments.format == "json":
        print(json.dumps(as_json(found, arguments.depth), indent=1))
    elif found.tensors:
        print(as_text(found, arguments.depth, arguments.raw), end="")
    print(f"fxcost: {next_step(found)}", file=sys.stderr)
    return True


def _annotate(arguments: argparse.Namespace, captured: Capture | None) -> Status:
    from .annotating import run
    from .binding import Program

    name = arguments.model
    program = Program.open(name) if captured is None else Program.from_bytes(captured.to_bytes(), name)
    run(arguments.annotate, program, arguments.device, arguments.output)
    return Status.OK


def _check_versions() -> None:
    import torch

    from .versions import notice

    text = notice(torch.__version__)
    if text:
        print(f"fxcost: note: {text}", file=sys.stderr)


def _image(text: str) -> int | tuple[int, int]:
    height, cross, width = text.partition("x")
    return (int(height), int(width)) if cross else int(height)


def main() -> int:
    arguments = _parser().parse_args()
    try:
        if arguments.annotate and arguments.model.endswith(".fxir"):
            return _annotate(arguments, None)
        if _listed(arguments):
            return Status.CAPTURE
        _check_versions()
        from .guard import Progress
        from .models import load
        from .options import Options, parse_settings

        sizes = arguments.batch, arguments.seq, arguments.image
        settings = parse_settings(arguments.set)
        options = Options(*sizes, arguments.dtype, settings, arguments.dynamic)
        options.fx, options.inputs = arguments.fx, arguments.input
        options.architecture, options.trust_pickle = arguments.architecture, arguments.trust_pickle
        options.real = arguments.measure
        progress = Progress()
        model = load(arguments.model, options, progress)
        how = {"strict": arguments.strict, "fx": arguments.fx, "method": arguments.method}
        how["lowered"] = arguments.lowered_for or arguments.lowered
        how["route"] = "record" if arguments.record else arguments.route
        if arguments.train and not arguments.forward:
            how |= {"mode": "train", "input_grad": arguments.input_grad}
        training = arguments.train and not arguments.eval
        if arguments.measure:
            from .measuring import Repetitions, measure_model

            repetitions = Repetitions(arguments.repeats, arguments.warmup, arguments.compiled)
            measure_model(model, repetitions, training, arguments.grad, progress).save(arguments.output)
            return Status.OK
        if arguments.decode_step:
            from .generation import programs

            first, step = programs(model, progress)
            first.save(arguments.output)
            step.save(arguments.decode_step)
            return Status.OK
        captured = model.capture(train=training, grad=arguments.grad, progress=progress, **how)
        if arguments.check:
            from .check import check

            return check(model, captured, arguments.grad)
        if arguments.annotate:
            return _annotate(arguments, captured)
        captured.save(arguments.output)
        if arguments.forward_pass:
            model.capture(train=training, grad=True, progress=progress).save(arguments.forward_pass)
    except FxcostError as error:
        print(error.details, end="")
        print(f"fxcost: {error}", file=sys.stderr)
        return Status[error.status]
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError as error:
        print(
            f"fxcost: {arguments.model}\n  expected: the package {error.name}\n  found: it is not installed",
            file=sys.stderr,
        )
        return Status.CAPTURE
    except BrokenPipeError:  # who reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Status.CAPTURE
    except Exception as error:  # noqa: BLE001  never a traceback of ours
        from .guard import Noise

        reason = str(error).strip().partition("\n")[0][:200]
        print(
            f"fxcost: {arguments.model}: a bug in fxcost\n  reason: {type(error).__name__}: {reason}\n"
            f"  log:    {Noise().save(error)}",
            file=sys.stderr,
        )
        return Status.INTERNAL
    return Status.OK


if __name__ == "__main__":
    sys.exit(main())
