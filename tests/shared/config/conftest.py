"""Networks and losses with PaddleSeg's constructor signatures, so that these tests need no Paddle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from shared.registry import BACKBONES, LOSSES, MODELS


class HRNet_W18:  # noqa: N801
    def __init__(self, pretrained: str | None = None, has_se: bool = False, align_corners: bool = False) -> None: ...


class ResNet50_vd:  # noqa: N801
    def __init__(
        self, output_stride: int | None = 8, multi_grid: Sequence[int] = (1, 1, 1), pretrained: str | None = None
    ) -> None: ...


class FCN:
    def __init__(
        self,
        num_classes: int,
        backbone: object,
        backbone_indices: Sequence[int] = (-1,),
        channels: int | None = None,
        pretrained: str | None = None,
        data_format: str = "NCHW",
    ) -> None: ...


class DeepLabV3P:
    def __init__(
        self,
        num_classes: int,
        backbone: object,
        backbone_indices: Sequence[int] = (0, 3),
        aspp_ratios: Sequence[int] = (1, 6, 12, 18),
        aspp_out_channels: int = 256,
        align_corners: bool = False,
        pretrained: str | None = None,
    ) -> None: ...


class CrossEntropyLoss:
    def __init__(self, weight: Sequence[float] | None = None, ignore_index: int = 255) -> None: ...


class LovaszSoftmaxLoss:
    def __init__(self, ignore_index: int = 255, classes: str = "present") -> None: ...


class MixedLoss:
    def __init__(self, losses: Sequence[object], coef: Sequence[float]) -> None: ...


class BCELoss:
    def __init__(self, edge_label: bool = False) -> None: ...


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registries of networks and losses hold the classes above while a test runs."""
    for registry, entries in (
        (MODELS, (FCN, DeepLabV3P)),
        (BACKBONES, (HRNet_W18, ResNet50_vd)),
        (LOSSES, (CrossEntropyLoss, LovaszSoftmaxLoss, MixedLoss, BCELoss)),
    ):
        monkeypatch.setattr(registry, "_entries", {entry.__name__: entry for entry in entries})


@pytest.fixture
def peer_configs(root: Path) -> Path:
    """Config files as PaddleSeg 2.x has them."""
    return root / "tests" / "fixtures" / "configs" / "paddleseg2x"


BASIC = """\
batch_size: 2
iters: 100
train_dataset:
  type: Dataset
  dataset_root: data/own
  train_path: train.txt
  num_classes: 3
  transforms:
    - {type: Resize, target_size: [64, 32]}
    - {type: Normalize}
optimizer: {type: sgd, momentum: 0.9, weight_decay: 0.0005}
lr_scheduler: {type: PolynomialDecay, learning_rate: 0.01, end_lr: 0, power: 0.9}
loss:
  types: [{type: CrossEntropyLoss}]
  coef: [1]
model:
  type: FCN
  backbone: {type: HRNet_W18}
"""


@pytest.fixture
def basic(tmp_path: Path) -> str:
    """The path of a small valid config."""
    path = tmp_path / "basic.yml"
    path.write_text(BASIC, encoding="utf-8")
    return str(path)
