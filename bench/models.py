"""Models at their published sizes, with random weights: name -> function that returns (module, keyword inputs)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from torch import nn

import fxcost

Built = tuple[nn.Module, dict[str, Any]]


def _ids(length: int = 128) -> dict[str, Any]:
    return {"input_ids": torch.randint(5, 1000, (1, length))}


def _image(size: int = 224) -> dict[str, Any]:
    return {"pixel_values": torch.randn(1, 3, size, size)}


def bert() -> Built:
    return hf.BertModel(hf.BertConfig()), _ids()


def roberta() -> Built:
    return hf.RobertaModel(hf.RobertaConfig(vocab_size=50265)), _ids()


def gpt2() -> Built:
    return hf.GPT2LMHeadModel(hf.GPT2Config()), {**_ids(), "use_cache": False}


def llama_gqa() -> Built:
    """Llama-3.2-1B's sizes with four layers."""
    config = hf.LlamaConfig(
        vocab_size=128256,
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=4,
        num_attention_heads=32,
        num_key_value_heads=8,
    )
    return hf.LlamaForCausalLM(config), {**_ids(), "use_cache": False}


def t5() -> Built:
    decoder = torch.randint(5, 1000, (1, 64))
    return hf.T5ForConditionalGeneration(hf.T5Config()), {**_ids(), "decoder_input_ids": decoder, "use_cache": False}


def vit() -> Built:
    return hf.ViTForImageClassification(hf.ViTConfig()), _image()


def resnet() -> Built:
    return hf.ResNetForImageClassification(hf.ResNetConfig()), _image()


def swin() -> Built:
    return hf.SwinForImageClassification(hf.SwinConfig()), _image()


def convnext() -> Built:
    return hf.ConvNextForImageClassification(hf.ConvNextConfig()), _image()


def whisper() -> Built:
    config = hf.WhisperConfig()
    features = torch.randn(1, config.num_mel_bins, 2 * config.max_source_positions)
    decoder = torch.randint(5, 1000, (1, 32))
    return hf.WhisperForConditionalGeneration(config), {
        "input_features": features,
        "decoder_input_ids": decoder,
        "use_cache": False,
    }


MODELS: dict[str, Callable[[], Built]] = {
    "bert-base": bert,
    "roberta-base": roberta,
    "gpt2": gpt2,
    "llama-gqa": llama_gqa,
    "t5-small": t5,
    "vit-b16": vit,
    "resnet-50": resnet,
    "swin-tiny": swin,
    "convnext-tiny": convnext,
    "whisper-tiny": whisper,
}


def captured(folder: Path, name: str) -> Path:
    """The file of a model by torch.export, which is written when it is not there."""
    path = folder / f"{name}.fxir"
    if not path.exists():
        model, kwargs = MODELS[name]()
        fxcost.capture(model.eval(), (), kwargs, name=name).save(path)
    return path
