"""Models of other packages by name, without weights: ``timm:resnet50``, ``torchvision:fcn_resnet50``."""

from __future__ import annotations

import contextlib
import difflib
import importlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from .errors import FxcostError, first_line, usage
from .inputs import expected
from .options import Options, dtype_named

IMAGE_SIZE = 224
DETECTION_SIZE = 800
VIDEO_FRAMES, VIDEO_SIZE = 16, 112


def build(
    package: str, name: str, options: Options
) -> tuple[torch.nn.Module, tuple[Any, ...], str, FakeTensorMode | None]:
    """Module, inputs, name and fake mode of a model that ``timm`` or ``torchvision`` makes."""
    make, names, images = _PACKAGES[package](_imported(package))
    if name not in names:
        near = difflib.get_close_matches(name, names, 4) or sorted(names)[:4]
        raise usage(f"{package}:{name}: {package} has no such model", "for instance " + ", ".join(near))
    dtype = dtype_named(options.dtype) or torch.float32
    mode: FakeTensorMode | None = FakeTensorMode(allow_non_fake_inputs=True)
    reason = ""
    for attempt in (
        (None,) if options.real else (mode, None)
    ):  # a constructor may need numbers, which fake tensors have not
        try:
            with attempt or contextlib.nullcontext(), _default(dtype):
                module = make(name, **options.settings).eval()
                inputs = images(module, name, options, dtype) if not options.inputs else ()
            return module, inputs, f"{type(module).__name__} ({package}:{name})", attempt
        except TypeError as error:
            if "unexpected keyword" in str(error):
                raise usage(f"{package}:{name}: {first_line(error)}", "check --set") from None
            reason = first_line(error)
        except FxcostError:
            raise
        except Exception as error:  # noqa: BLE001  a constructor may fail in many ways
            reason = first_line(error)
    raise FxcostError(f"{package}:{name} cannot be built\n  reason: {reason}\n  try:    check --set")


@contextlib.contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    """Parameters are made in this dtype: those of fake tensors cannot be converted afterwards."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _imported(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except Exception as error:  # noqa: BLE001  one built for another torch raises what it likes
        raise usage(
            f"{package}: models need the package {package}, which cannot be imported: {first_line(error)}",
            f"pip install {package}, of the version that goes with torch {torch.__version__}",
        ) from None


# ---- packages -------------------------------------------------------------------------------------------------------

Found = tuple[Callable[..., Any], Iterable[str], Callable[..., tuple[Any, ...]]]


def _timm(timm: Any) -> Found:
    def images(module: Any, name: str, options: Options, dtype: torch.dtype) -> tuple[Any, ...]:
        settings = getattr(module, "pretrained_cfg", None) or {}
        channels, *own = settings.get("input_size", (3, IMAGE_SIZE, IMAGE_SIZE))
        if settings.get("input_size") is None and not hasattr(module, "forward_features"):
            raise usage(
                f"timm:{name}: no known input\n  expected: {expected(module)}", "--input 'NAME=f32[1,3,224,224]'"
            )
        return (torch.zeros(options.batch or 1, channels, *_size(options, own), dtype=dtype),)

    return lambda name, **settings: timm.create_model(name, pretrained=False, **settings), timm.list_models(), images


def _torchvision(torchvision: Any) -> Found:
    def make(name: str, **settings: Any) -> Any:
        # A detector or segmenter would fetch the weights of its backbone.
        kind = torchvision.models.get_model_builder(name).__module__
        backbone = {"weights_backbone": None} if ".detection." in kind or ".segmentation." in kind else {}
        return torchvision.models.get_model(name, weights=None, **{**backbone, **settings})

    def images(module: Any, name: str, options: Options, dtype: torch.dtype) -> tuple[Any, ...]:
        kind, batch = torchvision.models.get_model_builder(name).__module__, options.batch or 1
        if ".detection." in kind:
            size = _size(options, [DETECTION_SIZE, DETECTION_SIZE])
            return ([torch.zeros(3, *size, dtype=dtype) for _ in range(batch)],)
        if ".video." in kind:
            own = [2 * VIDEO_SIZE] * 2 if "mvit" in name or "swin" in name else [VIDEO_SIZE] * 2
            return (torch.zeros(batch, 3, VIDEO_FRAMES, *_size(options, own), dtype=dtype),)
        if ".optical_flow." in kind:
            size = _size(options, [368, 496])
            return tuple(torch.zeros(batch, 3, *size, dtype=dtype) for _ in range(2))
        own = [getattr(module, "image_size", 299 if name == "inception_v3" else IMAGE_SIZE)] * 2
        return (torch.zeros(batch, 3, *_size(options, own), dtype=dtype),)

    return make, torchvision.models.list_models(), images


def _size(options: Options, own: list[int]) -> list[int]:
    if options.image is None:
        return own
    return [options.image, options.image] if isinstance(options.image, int) else list(options.image)


_PACKAGES: dict[str, Callable[[Any], Found]] = {"timm": _timm, "torchvision": _torchvision}
