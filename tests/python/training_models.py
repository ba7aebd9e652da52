"""Ten small models with a loss: name -> function that returns (module, keyword inputs); calling gives ``.loss``."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
import transformers as hf

Built = tuple[torch.nn.Module, dict[str, Any]]


def _ids(batch: int = 2) -> torch.Tensor:
    return torch.arange(batch * 16).reshape(batch, 16) % 90


def _image() -> dict[str, Any]:
    return {"pixel_values": torch.randn(2, 3, 32, 32), "labels": torch.tensor([0, 1])}


def _tokens() -> dict[str, Any]:
    return {"input_ids": _ids(), "labels": _ids()}


_TRANSFORMER = {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 128}


def bert() -> Built:
    return hf.BertForMaskedLM(hf.BertConfig(**_TRANSFORMER, vocab_size=100)), _tokens()


def albert() -> Built:
    config = hf.AlbertConfig(**_TRANSFORMER, embedding_size=32, vocab_size=100)
    return hf.AlbertForMaskedLM(config), _tokens()


def gpt2() -> Built:
    config = hf.GPT2Config(n_layer=2, n_embd=64, n_head=4, vocab_size=100, bos_token_id=0, eos_token_id=0)
    return hf.GPT2LMHeadModel(config), _tokens()


def llama() -> Built:
    config = hf.LlamaConfig(**_TRANSFORMER, num_key_value_heads=2, vocab_size=100)
    return hf.LlamaForCausalLM(config), _tokens()


def t5() -> Built:
    config = hf.T5Config(
        num_layers=2, d_model=64, num_heads=4, d_ff=128, d_kv=16, vocab_size=100, decoder_start_token_id=0
    )
    return hf.T5ForConditionalGeneration(config), _tokens()


def vit() -> Built:
    return hf.ViTForImageClassification(hf.ViTConfig(**_TRANSFORMER, image_size=32, patch_size=8)), _image()


def swin() -> Built:
    config = hf.SwinConfig(image_size=32, patch_size=4, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=4)
    return hf.SwinForImageClassification(config), _image()


def resnet() -> Built:
    config = hf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    return hf.ResNetForImageClassification(config), _image()


def whisper() -> Built:
    config = hf.WhisperConfig(
        encoder_layers=1, decoder_layers=1, d_model=32, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=64, decoder_ffn_dim=64, vocab_size=100, max_source_positions=20, num_mel_bins=8,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, suppress_tokens=[],
        begin_suppress_tokens=[],
    )  # fmt: skip
    return hf.WhisperForConditionalGeneration(config), {"input_features": torch.randn(1, 8, 40), "labels": _ids(1)}


class Autoencoder(torch.nn.Module):
    """Strided and transposed convolutions, group norm, pooling and upsampling; the loss is that of a regression."""

    def __init__(self) -> None:
        super().__init__()
        self.down = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, stride=2, padding=1),
            torch.nn.GroupNorm(2, 8),
            torch.nn.GELU(),
            torch.nn.MaxPool2d(2),
        )
        self.middle = torch.nn.Conv2d(8, 8, 1)
        self.up = torch.nn.Sequential(
            torch.nn.Upsample(scale_factor=2), torch.nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1), torch.nn.Tanh()
        )
        self.head = torch.nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, pixel_values: torch.Tensor) -> SimpleNamespace:
        found = self.head(self.up(self.middle(self.down(pixel_values))))
        return SimpleNamespace(loss=torch.nn.functional.mse_loss(found, pixel_values))


def autoencoder() -> Built:
    return Autoencoder(), {"pixel_values": torch.randn(2, 3, 32, 32)}


MODELS: dict[str, Callable[[], Built]] = {
    build.__name__: build for build in (bert, albert, gpt2, llama, t5, vit, swin, resnet, whisper, autoencoder)
}
