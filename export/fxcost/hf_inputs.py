"""Inputs for transformers models, by what the forward of a model takes and what its configuration says of sizes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

from .errors import usage
from .inputs import expected
from .options import Options

AUDIO_RATE = 16000
SEQ = 128
_MASK_NAMES = ("attention_mask", "input_features_mask", "feature_attention_mask", "padding_mask", "pixel_mask")

# Heads whose loss compares tokens with tokens.
_LANGUAGE_HEADS = ("ForCausalLM", "LMHeadModel", "ForMaskedLM", "ForConditionalGeneration")
# Encoder-decoder models whose encoder has no path without a mask.
_ALWAYS_MASKED = ("longt5", "switch_transformers")
# Models of a single channel whose configuration does not say so, and models that compare two images.
_ONE_CHANNEL = ("dac", "mimi", "xcodec", "xcodec2")
_TWO_IMAGES = ("efficientloftr", "superglue", "lightglue")
# Each patch of an image has the place of a token.
_TOKEN_PER_PATCH = ("llava", "vipllava", "paligemma")
# Images come as rows of patches with a table of their grids: text alone, unless --input gives them.
_PACKED_IMAGES = (
    "image_grid_thw",
    "pixel_attention_mask",
    "high_res_pixel_values",
    "image_position_ids",
)


def inputs_of(module: Any, config: Any, options: Options, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Keyword inputs: the main one, what goes with it, and whatever forward cannot do without."""
    accepted = inspect.signature(module.forward).parameters
    makers = _makers(config, options, dtype)
    main = getattr(module, "main_input_name", "input_ids")
    if main not in makers or main not in accepted:
        main = next((name for name in _MAIN if name in accepted), "")
    if not main and options.inputs:
        return {}
    if not main:
        raise usage(
            f"{type(module).__name__}: its inputs are none of the usual ones\n  expected: {expected(module)}",
            "--input 'NAME=f32[1,80,3000]' for each that is needed",
        )
    wanted = [main]
    if main == "input_ids":
        if "pixel_values" in accepted and _sees(config) and not _packs_images(config, accepted):
            wanted.append("pixel_values")
        if _is_masked(config) and "attention_mask" in accepted:
            wanted.append("attention_mask")
    if getattr(config, "is_encoder_decoder", False) and "decoder_input_ids" in accepted:
        wanted.append("decoder_input_ids")
    wanted += [name for name in ("bbox", *_FORECAST, *_DECISION) if name in accepted and _has(config, name)]
    wanted += [name for name, parameter in accepted.items() if _is_required(parameter) and name in makers]
    wanted = list(dict.fromkeys(wanted))
    inputs = {name: makers[name]() for name in wanted if name not in _MASK_NAMES}
    if main == "input_ids" and "pixel_values" in inputs:
        inputs[main] = _with_images(config, inputs[main])
    for name in wanted:  # a mask goes with the main input
        if name in _MASK_NAMES:
            inputs[name] = _mask(name, inputs[main])
    return inputs


def labels_of(module: torch.nn.Module, inputs: dict[str, Any]) -> dict[str, torch.Tensor]:
    """What a transformers model with a head computes its own loss from: tokens or classes; nothing for other heads."""
    if not any(cls.__name__ == "PreTrainedModel" for cls in type(module).__mro__) or "labels" in inputs:
        return {}
    tokens = inputs.get("decoder_input_ids", inputs.get("input_ids"))
    name = type(module).__name__
    if "labels" not in inspect.signature(module.forward).parameters:
        return {}
    if tokens is not None and name.endswith(_LANGUAGE_HEADS):
        return {"labels": torch.zeros_like(tokens)}
    if name.endswith("ForImageClassification") and "pixel_values" in inputs:
        return {"labels": torch.zeros(inputs["pixel_values"].shape[0], dtype=torch.int64)}
    return {}


def _is_required(parameter: inspect.Parameter) -> bool:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return parameter.default is parameter.empty and parameter.kind in kinds


# ---- makers ----------------------------------------------------------------------------------------------------------

_MAIN = ("input_ids", "pixel_values", "pixel_values_videos", "input_features", "input_values", "past_values", "states")
_FORECAST = ("past_time_features", "past_observed_mask", "future_values", "future_time_features")
_DECISION = ("actions", "rewards", "returns_to_go", "timesteps")


def _makers(config: Any, options: Options, dtype: torch.dtype) -> dict[str, Callable[[], torch.Tensor]]:
    batch, seq = options.batch or 1, options.seq or min(SEQ, _positions(config))

    def number(name: str, default: int) -> int:
        value = getattr(config, name, None)
        return int(value) if isinstance(value, int) else default

    def tokens(length: int = seq) -> torch.Tensor:
        return torch.zeros(batch, length, dtype=torch.int64)

    def real(*sizes: int) -> torch.Tensor:
        return torch.zeros(batch, *sizes, dtype=dtype)

    def pixels() -> torch.Tensor:
        frames = [number("num_frames", 8)] if _is_video(config) else [2] if config.model_type in _TWO_IMAGES else []
        return real(*frames, *_image(config, options))

    def boxes() -> torch.Tensor:
        if hasattr(config, "dim_bbox"):
            return real(seq, number("dim_bbox", 8))
        return torch.zeros(batch, seq, 4, dtype=torch.int64)

    context, future = number("context_length", seq), number("prediction_length", 1)
    series = [number("input_size", 1)] if number("input_size", 1) > 1 else []
    past = context + max(getattr(config, "lags_sequence", None) or [0])
    makers: dict[str, Callable[[], torch.Tensor]] = {
        "input_ids": tokens,
        "decoder_input_ids": lambda: tokens(min(seq, number("max_target_positions", seq))),
        "token_type_ids": tokens,
        "position_ids": tokens,
        "bbox": boxes,
        "image": pixels,
        "pixel_values": pixels,
        "pixel_values_videos": lambda: real(number("frames_per_clip", 16), *_image(config, options)),
        "input_features": lambda: _features(config, batch, dtype),
        "input_values": lambda: _samples(config, batch, options, dtype),
        "past_values": lambda: real(*_past(config, past, series)),
        "past_time_features": lambda: real(past, number("num_time_features", 0)),
        "past_observed_mask": lambda: real(past, *series),
        "future_values": lambda: real(future, *series),
        "future_time_features": lambda: real(future, number("num_time_features", 0)),
        "states": lambda: real(seq, number("state_dim", 17)),
        "actions": lambda: real(seq, number("act_dim", 4)),
        "rewards": lambda: real(seq, 1),
        "returns_to_go": lambda: real(seq, 1),
        "timesteps": tokens,
    }
    return makers | dict.fromkeys(_MASK_NAMES, tokens)


def _with_images(config: Any, tokens: torch.Tensor) -> torch.Tensor:
    """In front of the text the places of the image: models put its features where these tokens are."""
    if config.model_type in _TOKEN_PER_PATCH:
        vision = config.vision_config
        places = (vision.image_size // vision.patch_size) ** 2
        places += getattr(config, "vision_feature_select_strategy", "default") == "full"  # and the class's
    else:
        places = getattr(config, "mm_tokens_per_image", 0)
    token = getattr(config, "image_token_id", None)
    return torch.cat((tokens.new_full((len(tokens), places), token), tokens), 1) if places and token else tokens


def _positions(config: Any) -> int:
    """How many tokens a text may have: models of short queries have fewer positions than the usual length."""
    positions = getattr(getattr(config, "text_config", None) or config, "max_position_embeddings", None)
    return positions if isinstance(positions, int) and positions > 0 else SEQ


def _has(config: Any, name: str) -> bool:
    """Boxes for models of pages; the further series for forecasting and decision models."""
    if name == "bbox":
        return hasattr(config, "max_2d_position_embeddings") or hasattr(config, "dim_bbox")
    if name in _DECISION:
        return hasattr(config, "act_dim")
    return hasattr(config, "lags_sequence")


def _past(config: Any, past: int, series: list[int]) -> list[int]:
    if hasattr(config, "lags_sequence"):
        return [past, *series]
    return [int(config.context_length), int(getattr(config, "num_input_channels", 1))]


def _mask(name: str, main: torch.Tensor) -> torch.Tensor:
    if main.dtype == torch.int64:
        return torch.ones_like(main)
    if name == "pixel_mask":
        return torch.ones(main.shape[0], *main.shape[-2:], dtype=torch.int64)
    return torch.ones(main.shape[0], main.shape[-1], dtype=torch.bool)


def _packs_images(config: Any, accepted: Any) -> bool:
    """Whether images come as rows of patches or as tiles of several sizes, which a batch of pixels is not."""
    tiled = hasattr(config, "image_grid_pinpoints") or hasattr(config, "spatial_merge_size")
    return any(name in accepted for name in _PACKED_IMAGES) or (tiled and "image_sizes" in accepted)


def _sees(config: Any) -> bool:
    """Models of text and images; to others that take pixels an image is optional."""
    return any(hasattr(config, name) for name in ("text_config", "vision_config", "image_size"))


def _is_masked(config: Any) -> bool:
    """Text encoders are given a mask, as their tokenizers give one; decoders run the causal path without."""
    import transformers

    masked = transformers.models.auto.modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    if getattr(config, "is_encoder_decoder", False):
        return config.model_type in _ALWAYS_MASKED
    return config.model_type in masked


def _is_video(config: Any) -> bool:
    import transformers

    videos = transformers.models.auto.modeling_auto.MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES
    return config.model_type in videos and hasattr(config, "num_frames")


def _image(config: Any, options: Options) -> tuple[int, int, int]:
    vision = getattr(config, "vision_config", None) or config
    size = options.image or getattr(vision, "image_size", None) or 224
    height, width = (int(size), int(size)) if isinstance(size, int) else (int(size[0]), int(size[1]))
    return int(getattr(vision, "num_channels", 3)), height, width


def _features(config: Any, batch: int, dtype: torch.dtype) -> torch.Tensor:
    """Log-mel features: as many frames as fill the encoder's positions (its convolutions halve them), bins first or,
    in the older models of speech, bins last."""
    positions = int(getattr(config, "max_source_positions", 1500))
    if hasattr(config, "input_feat_per_channel"):
        return torch.zeros(batch, positions, int(config.input_feat_per_channel), dtype=dtype)
    return torch.zeros(batch, int(getattr(config, "num_mel_bins", 80)), 2 * positions, dtype=dtype)


def _samples(config: Any, batch: int, options: Options, dtype: torch.dtype) -> torch.Tensor:
    """A second of sound, for codecs with channels; where the configuration has mel bins, a spectrogram."""
    if hasattr(config, "num_mel_bins") and hasattr(config, "max_length"):
        return torch.zeros(batch, int(config.max_length), int(config.num_mel_bins), dtype=dtype)
    channels = [int(config.audio_channels)] if hasattr(config, "audio_channels") else []
    channels = [1] if config.model_type in _ONE_CHANNEL else channels
    return torch.zeros(batch, *channels, options.seq or AUDIO_RATE, dtype=dtype)
