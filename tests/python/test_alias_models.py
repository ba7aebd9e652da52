"""The alias pass on small versions of published architectures, against the same graphs on real tensors."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from typing import Any

import alias_oracle as oracle
import pytest
import torch
from transformers import AutoConfig, AutoModel

import fxcost

torch.set_num_threads(1)

_TEXT = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32}
_PICTURE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
_SWIN = {"image_size": 32, "patch_size": 4, "embed_dim": 8, "depths": [2, 2], "num_heads": [2, 2], "window_size": 4}
_T5 = {"vocab_size": 60, "d_model": 16, "d_ff": 32, "num_layers": 2, "num_heads": 2, "d_kv": 8}
_WHISPER = {"vocab_size": 60, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2}
_WHISPER |= {"decoder_attention_heads": 2, "max_source_positions": 16, "num_mel_bins": 8, "pad_token_id": 0}
_RESNET = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
IDS, PICTURE, SOUND = ("ids", (2, 8)), ("float", (2, 3, 32, 32)), ("float", (1, 8, 32))

#        model type, configuration, training, inputs by name, inputs that a run writes to
MODELS: list[tuple[str, dict[str, Any], bool, dict[str, Any], int]] = [
    ("bert", _TEXT, False, {"input_ids": IDS}, 0),
    ("roberta", _TEXT | {"pad_token_id": 1}, False, {"input_ids": IDS}, 0),
    ("gpt2", {"vocab_size": 60, "n_embd": 16, "n_layer": 2, "n_head": 2}, False, {"input_ids": IDS}, 0),
    ("llama", _TEXT | {"num_key_value_heads": 2}, False, {"input_ids": IDS}, 0),
    ("mixtral", _TEXT | {"num_key_value_heads": 2}, False, {"input_ids": IDS}, 0),
    ("vit", _PICTURE | {"image_size": 32, "patch_size": 8}, False, {"pixel_values": PICTURE}, 0),
    ("swin", _SWIN, False, {"pixel_values": PICTURE}, 0),
    ("convnext", {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2}, False, {"pixel_values": PICTURE}, 0),
    ("resnet", _RESNET, False, {"pixel_values": PICTURE}, 0),
    ("resnet", _RESNET, True, {"pixel_values": PICTURE}, 18),  # three buffers of each of six BatchNorms
    ("t5", _T5, False, {"input_ids": IDS, "decoder_input_ids": IDS}, 0),
    ("whisper", _WHISPER, False, {"input_features": SOUND, "decoder_input_ids": ("ids", (1, 4))}, 0),
]


def _input(spec: tuple[str, tuple[int, ...]]) -> torch.Tensor:
    kind, shape = spec
    return torch.randint(2, 50, shape) if kind == "ids" else torch.randn(shape)


@pytest.mark.parametrize(
    ("kind", "config", "training", "inputs", "written"), MODELS, ids=[f"{m[0]}{'-train' * m[2]}" for m in MODELS]
)
def test_model(kind: str, config: dict[str, Any], training: bool, inputs: dict[str, Any], written: int) -> None:
    torch.manual_seed(0)
    settings = AutoConfig.for_model(kind, **config)
    settings.use_cache = False  # torch's functionalisation has no name for a returned cache object
    model = AutoModel.from_config(settings).train(training)
    kwargs = {name: _input(spec) for name, spec in inputs.items()}
    with torch.no_grad():
        program = torch.export.export(model, (), kwargs)
    user = [spec.arg.name for spec in program.graph_signature.input_specs if spec.kind.name == "USER_INPUT"]
    truth = oracle.run_truth(program, tuple(kwargs.get(name) for name in user))
    said = oracle.Said(fxcost.capture(program).to_bytes(), oracle.input_names(program))
    assert oracle.partition(said.memory) == oracle.partition(truth.storage_of())
    assert sorted(back.name.decode() for back in said.writebacks) == sorted(truth.changed_inputs)
    assert len(said.writebacks) == written
    oracle.check_writes(said, truth)
