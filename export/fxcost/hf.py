"""Models from transformers configurations: the architecture without its weights, and inputs that fit it."""

from __future__ import annotations

import contextlib
import copy
import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from .errors import FxcostError, first_line, usage
from .hf_inputs import inputs_of
from .options import Options, dtype_named

# ImageNet's classes: a configuration without labels of its own would make a classifier of two.
IMAGE_CLASSES = 1000


def build(spec: str, options: Options) -> tuple[torch.nn.Module, dict[str, torch.Tensor], str, FakeTensorMode | None]:
    """Module, keyword inputs, name and fake mode of ``MODEL_TYPE`` or ``PATH/config.json``. Nothing is downloaded."""
    transformers = _transformers()
    settings = dict(options.settings)
    architecture = settings.pop("architecture", None)
    config, label = _config(transformers, spec, settings)
    cls = _class(transformers, config, architecture, from_file=label != spec)
    if "num_labels" not in settings and label == spec and cls.__name__.endswith("ForImageClassification"):
        config.num_labels = IMAGE_CLASSES
    if "use_cache" not in settings and getattr(config, "use_cache", None) is not None:
        config.use_cache = False  # one forward pass, which needs no cache to be handed back
    dtype = dtype_named(options.dtype) or _config_dtype(config)
    module, mode = _instantiate(cls, config, dtype, options.real)
    with mode or contextlib.nullcontext():
        inputs = inputs_of(module, config, options, dtype)
    return module, inputs, f"{cls.__name__} (hf:{label})", mode


def _transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise usage("hf: models need the package transformers", "pip install transformers") from None
    return transformers


# ---- configuration --------------------------------------------------------------------------------------------------


def _config(transformers: Any, spec: str, settings: dict[str, Any]) -> tuple[Any, str]:
    path = Path(spec)
    if path.suffix == ".json" or path.is_dir():
        values, label = _read_config(path / "config.json" if path.is_dir() else path), path.name
        model_type = values.pop("model_type", None)
        if model_type is None:
            raise usage(f"{path}: no transformers configuration: it has no model_type", "give a config.json")
    else:
        values, label, model_type = {}, spec, spec
    known = transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES
    if model_type not in known:
        near = difflib.get_close_matches(str(model_type), known, 3) or ["bert", "llama", "vit"]
        raise usage(f"hf:{spec}: transformers has no model type {model_type!r}", "for instance " + ", ".join(near))
    nested = {key: value for key, value in settings.items() if "." in key}
    flat = {key: value for key, value in settings.items() if "." not in key}
    _check_keys(transformers.AutoConfig.for_model(model_type), flat, spec)
    try:
        config = transformers.AutoConfig.for_model(model_type, **{**values, **flat})
        for key, value in nested.items():
            _set_nested(config, key, value, spec)
    except (TypeError, ValueError, KeyError) as error:
        raise usage(f"hf:{spec}: the configuration is refused: {first_line(error)}", "check --set") from None
    heads = getattr(config, "num_attention_heads", None)
    if isinstance(heads, int) and getattr(config, "num_key_value_heads", heads) is None:
        config.num_key_value_heads = heads  # what configurations mean by none; not every model works it out
    return config, label


def _read_config(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FxcostError(f"{path}: {error.strerror}", status="IO") from None
    except ValueError as error:
        raise usage(f"{path}: not JSON: {error}", "give a model's config.json") from None
    if not isinstance(values, dict):
        raise usage(f"{path}: a JSON {type(values).__name__}, not a configuration", "give a model's config.json")
    return values


def _check_keys(default: Any, settings: dict[str, Any], spec: str) -> None:
    for key in settings:
        if not hasattr(default, key):
            names = [name for name, value in default.to_dict().items() if isinstance(value, (int, float, str, list))]
            near = difflib.get_close_matches(key, names, 3) or sorted(names)[:12]
            raise usage(f"hf:{spec}: {type(default).__name__} has no {key!r}", "for instance " + ", ".join(near))


def _set_nested(config: Any, key: str, value: Any, spec: str) -> None:
    *path, last = key.split(".")
    for part in path:
        config = getattr(config, part, None)
    if config is None or not hasattr(config, last):
        raise usage(f"hf:{spec}: the configuration has no {key!r}", "check --set")
    setattr(config, last, value)


def _config_dtype(config: Any) -> torch.dtype:
    dtype = getattr(config, "dtype", None)
    if isinstance(dtype, str):
        dtype = dtype_named(dtype.removeprefix("torch."))
    return dtype or torch.float32


# ---- architecture ---------------------------------------------------------------------------------------------------


def _class(transformers: Any, config: Any, architecture: str | None, from_file: bool) -> Any:
    """The class the user names, the one config.json names, else the usual head of this kind of model."""
    listed = getattr(config, "architectures", None) if from_file else None
    name = architecture or (listed[0] if listed else None) or _usual_head(transformers, config)
    cls = getattr(transformers, name, None)
    if cls is None:
        raise usage(f"transformers has no class {name!r}", "--set architecture=CLASS with a class of this model")
    return cls


def _usual_head(transformers: Any, config: Any) -> str:
    auto, kind = transformers.models.auto.modeling_auto, config.model_type

    def head(task: str) -> str | None:
        name = getattr(auto, f"MODEL_{task}MAPPING_NAMES", {}).get(kind)
        return name[0] if isinstance(name, (tuple, list)) else name

    if getattr(config, "is_encoder_decoder", False):
        found = head("FOR_SEQ_TO_SEQ_CAUSAL_LM_") or head("FOR_SPEECH_SEQ_2_SEQ_")
    elif head("FOR_IMAGE_CLASSIFICATION_"):
        found = head("FOR_IMAGE_CLASSIFICATION_")
    else:
        found = None if head("FOR_MASKED_LM_") else head("FOR_CAUSAL_LM_")
    found = found or head("")
    if found is None:
        raise usage(f"transformers has no model for {kind!r}", "--set architecture=CLASS")
    return str(found)


def _instantiate(
    cls: Any, config: Any, dtype: torch.dtype, real: bool
) -> tuple[torch.nn.Module, FakeTensorMode | None]:
    """Built from fake tensors, which take no memory; where a constructor needs numbers, from real, unwritten ones; on
    request from real ones with random weights."""
    mode: FakeTensorMode | None = FakeTensorMode(allow_non_fake_inputs=True)
    for attempt in (None,) if real else (mode, None):
        try:
            with attempt or contextlib.nullcontext(), contextlib.nullcontext() if real else _without_initialisation():
                return _construct(cls, config, dtype).eval(), attempt
        except Exception as error:  # noqa: BLE001  a constructor may fail in many ways
            reason = first_line(error)
    raise FxcostError(
        f"{cls.__name__} cannot be built from its configuration\n  reason: {reason}\n  try:    check --set",
        status="CAPTURE",
    )


def _construct(cls: Any, config: Any, dtype: torch.dtype) -> torch.nn.Module:
    try:  # a refused attempt leaves its wish in the configuration, hence the copies
        module = cls._from_config(copy.deepcopy(config), attn_implementation="sdpa", dtype=dtype)
    except (ValueError, ImportError):  # this architecture has no SDPA form
        module = cls._from_config(copy.deepcopy(config), dtype=dtype)
    module.tie_weights()  # part of the initialisation that is skipped
    return module  # type: ignore[no-any-return]


@contextlib.contextmanager
def _without_initialisation() -> Iterator[None]:
    """Skips the random filling of weights, which no cost depends on."""
    from transformers import initialization

    with initialization.no_init_weights():
        yield
