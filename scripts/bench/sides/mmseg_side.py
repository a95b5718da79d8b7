"""mmsegmentation on PyTorch, CPU: its networks built from its own configs, its metric."""

from __future__ import annotations

import os
import sys
import types
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from loop import Round, serve

CONFIGS = {
    "FCN-HRNet-W18": ("_base_/models/fcn_hr18.py", {}),
    # its recipe has 512 channels and an auxiliary head; ours 256 and none
    "DeepLabV3P-ResNet50": ("_base_/models/deeplabv3plus_r50-d8.py", {"channels": 256}),
}


def _import_mmseg() -> None:
    """mmcv-lite lacks the compiled operators, which none of these networks uses."""
    warnings.simplefilter("ignore")
    import mmcv

    mmcv.__version__ = "2.1.0"
    sys.modules["mmcv.ops"] = types.ModuleType("mmcv.ops")
    operators = ("point_sample", "sigmoid_focal_loss", "CrissCrossAttention", "PSAMask", "DeformConv2d", "RoIAlign")
    for name in operators:
        setattr(sys.modules["mmcv.ops"], name, None)


def _network(name: str) -> Any:
    _import_mmseg()
    import mmseg
    import mmseg.models
    import torch
    from mmengine.config import Config
    from mmseg.registry import MODELS

    file, head = CONFIGS[name]
    config = Config.fromfile(os.path.join(os.path.dirname(mmseg.__file__), ".mim", "configs", file)).model
    plain = {"type": "BN", "requires_grad": True}
    config.update(pretrained=None, data_preprocessor=None)
    config.pop("auxiliary_head", None)
    config.backbone.norm_cfg = plain
    config.decode_head.update(norm_cfg=plain, **head)
    torch.manual_seed(0)
    return MODELS.build(config)


def train(network: str, shape: list[int], channels_last: bool) -> Round:
    """A training step: forward to logits at the label's size, cross entropy, backward, SGD with momentum."""
    import torch
    from torch.nn import functional

    model = _network(network).train()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = model.to(memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=4e-5)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(*shape, generator=generator).to(memory_format=layout)
    labels = torch.randint(0, 19, (shape[0], *shape[2:]), generator=generator)

    def step() -> None:
        logits = functional.interpolate(model(images, mode="tensor"), shape[2:], mode="bilinear", align_corners=False)
        loss = functional.cross_entropy(logits, labels, ignore_index=255)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def predict(network: str, shape: list[int], channels_last: bool) -> Round:
    """One image to class ids at its own size, on the host."""
    import torch
    from torch.nn import functional

    model = _network(network).eval()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = model.to(memory_format=layout)
    image = torch.randn(*shape, generator=torch.Generator().manual_seed(0)).to(memory_format=layout)

    def run() -> None:
        with torch.inference_mode():
            logits = model(image, mode="tensor")
            functional.interpolate(logits, shape[2:], mode="bilinear", align_corners=False).argmax(1).numpy()

    return run


def matrix(size_hw: list[int], classes: int, with_argmax: bool, repeats: int) -> Round:
    """Its ``IoUMetric.intersect_and_union`` of one image, from ids or from logits."""
    import numpy as np
    import torch

    _import_mmseg()
    from mmseg.evaluation.metrics import IoUMetric

    rng = np.random.default_rng(0)
    label = torch.from_numpy(rng.integers(0, classes, size_hw))
    logits = torch.from_numpy(rng.standard_normal((classes, *size_hw), dtype=np.float32))
    ids = logits.argmax(0)

    def run() -> None:
        for _ in range(repeats):
            IoUMetric.intersect_and_union(logits.argmax(0) if with_argmax else ids, label, classes, 255)

    return run


serve({"train": train, "predict": predict, "matrix": matrix})
