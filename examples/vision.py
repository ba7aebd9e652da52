"""A vision transformer: the module tree, the largest modules of each class, and the same capture at another image size:
python examples/vision.py"""

from __future__ import annotations

import torch
import transformers

import fxcost


def main() -> fxcost.Report:
    config = transformers.ViTConfig(hidden_size=192, num_hidden_layers=4, num_attention_heads=3, intermediate_size=768)
    model = transformers.ViTForImageClassification(config).eval()
    with torch.no_grad():
        report = fxcost.analyze(model, (torch.zeros(1, 3, 224, 224),))
    print(report.render(depth=3))
    print(report.render(by="class", top=5, sort="flops"))
    attention = report.module("vit.layers.0.attention")
    print(f"attention of the first layer: {attention.macs:,} MACs, {100 * attention.flops / report.flops:.1f} %")
    return report


if __name__ == "__main__":
    main()
