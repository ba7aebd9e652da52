"""Transformers model types by name, captured both ways: python bench/architectures.py [--only NAME ...] [--no-record]

Each is built from its configuration with a few layers and with inputs that fit it, exported, and run once more while it
is recorded. Printed are the class, the inputs, the route that answered, matrix FLOPs by both routes
and what has no formula. Exits with 1 when a model type has no answer, or when the two routes differ without a reason.
"""

from __future__ import annotations

import argparse
import collections
import logging
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "python"))

import torch
from shape_models import ARCHITECTURES, SOUND

from fxcost.binding import Program
from fxcost.errors import reason_of
from fxcost.models import Model, load
from fxcost.options import Options
from fxcost.report import Report

# Further kinds of inputs (boxes of pages, audio features, decisions, forecasts, pairs of images) and of models.
FORECAST = {"prediction_length": 8, "context_length": 16}
MORE: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("time_series_transformer", "informer", "autoformer"), FORECAST),
    **dict.fromkeys(
        (
            *("layoutlm", "lilt", "bros", "markuplm", "decision_transformer", "efficientloftr", "dac", "mimi"),
            *(
                "mbart",
                "mt5",
                "umt5",
                "marian",
                "plbart",
                "bigbird_pegasus",
                "blenderbot-small",
                "t5gemma",
                "pegasus_x",
            ),
            *(
                "xlm-roberta",
                "camembert",
                "megatron-bert",
                "rembert",
                "roc_bert",
                "ernie",
                "eurobert",
                "splinter",
                "dpr",
            ),
            *("gemma", "olmo", "starcoder2", "mpt", "persimmon", "helium", "glm4", "granite", "smollm3", "openai-gpt"),
            *("cohere2", "falcon_h1", "gemma4_text", "qwen3_5_text", "bitnet", "diffllama", "nemotron"),
            *("vit_msn", "ijepa", "dinov3_vit", "dinov3_convnext", "mobilevitv2", "swiftformer", "glpn", "pvt", "yoso"),
            *("data2vec-vision", "data2vec-text", "chinese_clip", "owlv2", "metaclip_2", "visual_bert", "trocr"),
            *("qwen2_audio_encoder", "voxtral_encoder", "glmasr_encoder", "pop2piano", "seamless_m4t", "nllb-moe"),
        ),
        {},
    ),
    "zamba2": {"num_hidden_layers": 3, "layers_block_type": ["mamba", "mamba", "hybrid"]},
}
# Why the routes may differ, by model type.
EXPLAINED = {
    "jetmoe": "how many rows its experts get depends on data: unknown operators when exported, counted when it runs",
    "qwen3_5_text": "its delta rule solves triangular systems when it runs, and multiplies by an inverse when exported",
}
SHORT = dict.fromkeys(("owlvit", "owlv2", "reformer"), 16)  # they have no more positions
LAYERS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers", "decoder_layers")
LAYERS += ("num_encoder_layers", "num_decoder_layers")
ROW = "{:<30} {:<36} {:<7} {:>16} {:>16} {:>8} {:>8}  {}"


def kinds() -> dict[str, dict[str, Any]]:
    return {kind: settings for family in ARCHITECTURES.values() for kind, settings in family.items()} | MORE


def few_layers(config: Any, prefix: str = "") -> dict[str, int]:
    """Settings that leave two of the layers that a configuration counts, in its parts too."""
    found: dict[str, int] = {}
    for key, value in vars(config).items():
        if key in LAYERS and isinstance(value, int) and value > 2:
            found[prefix + key] = 2
        elif hasattr(value, "model_type") and hasattr(value, "to_dict"):
            found |= few_layers(value, f"{prefix}{key}.")
    return found


def built(kind: str, settings: dict[str, Any]) -> Model:
    if kind in MORE:
        import transformers

        settings = few_layers(transformers.AutoConfig.for_model(kind)) | settings
    # torch's grouped product of experts has a rule for fake tensors in bfloat16 alone
    dtype = "bf16" if kind in (*ARCHITECTURES["mixture of experts"], "jamba", "nllb-moe") else None
    seq = 4096 if kind in (*SOUND, "dac", "mimi") else SHORT.get(kind, 32)
    return load(f"hf:{kind}", Options(seq=seq, dtype=dtype, settings=dict(settings)))


def recorded(model: Model, kind: str) -> Report:
    """What runs, on fake tensors where they will do."""
    return Report(Program.from_bytes(model.capture(route="record").to_bytes(), kind))


def differences(exported: Report, ran: Report) -> str:
    """Operators with matrix FLOPs whose totals differ, with the difference."""

    def by_op(report: Report) -> dict[str, int]:
        return {name: row.matrix_flops for name, row in report.by_op().items() if row.matrix_flops}

    one, two = by_op(exported), by_op(ran)
    parts = [f"{name} {two.get(name, 0) - one.get(name, 0):+d}" for name in sorted({*one, *two})]
    return ", ".join(part for part in parts if not part.endswith("+0"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], help="model types")
    parser.add_argument("--no-record", action="store_true", help="export alone")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(0)

    routes: collections.Counter[str] = collections.Counter()
    failed, differing, explained, unrecorded, unknown = [], [], [], [], 0
    print(ROW.format("model type", "class", "route", "matrix FLOPs", "recorded", "unknown", "seconds", "inputs"))
    for kind, settings in kinds().items():
        if options.only and kind not in options.only:
            continue
        start = time.perf_counter()
        try:
            model = built(kind, settings)
            captured = model.capture()
            report = Report(Program.from_bytes(captured.to_bytes(), kind))
            head = report.to_dict()
        except Exception as error:  # noqa: BLE001  listed, whatever it is
            failed.append(f"{kind}: {reason_of(error)}")
            print(f"{kind:<30} no answer", flush=True)
            continue
        route = head["program"]["route"]
        routes[route] += 1
        unknown += bool(report.unknown)
        second: int | str = ""
        if route == "export" and not options.no_record:
            try:
                ran = recorded(model, kind)
                second = ran.matrix_flops
                if second != report.matrix_flops:
                    (explained if kind in EXPLAINED else differing).append(f"{kind}: {differences(report, ran)}")
            except Exception as error:  # noqa: BLE001  what does not run
                second = "-"
                unrecorded.append(f"{kind}: {reason_of(error)}")
        seconds = f"{time.perf_counter() - start:.1f}"
        cls = type(model.module).__name__
        row = kind, cls, route, report.matrix_flops, second, len(report.unknown), seconds, head["program"]["inputs"]
        print(ROW.format(*row), flush=True)
    lists = {
        "no answer": failed,
        "routes that differ": differing,
        "routes that differ, and why": [f"{line}; {EXPLAINED[line.partition(':')[0]]}" for line in explained],
        "exported, but it does not run": unrecorded,
    }
    for title, lines in lists.items():
        print(f"\n{title}: {'' if lines else 'none'}")
        print(*lines, sep="\n", end="\n" if lines else "")
    by = ", ".join(f"{count} by {route}" for route, count in routes.items())
    print(
        f"\n{routes.total() + len(failed)} model types, {routes.total()} answered ({by}), {unknown} of them with "
        f"operators without a formula; {len(differing)} differ between the routes, {len(explained)} with a reason, "
        f"{len(unrecorded)} not compared"
    )
    return int(bool(failed or differing))


if __name__ == "__main__":
    sys.exit(main())
