"""Every architecture once: its Cityscapes recipe, a small network of the same code, and the recipe's losses.

``tests/parity`` and ``tests/dygraph/models`` are generated from this table, and ``test_every_network_is_in_the_zoo``
fails for an architecture without an entry.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scripts.oracle.cases import CASES
from shared.config.run_config import Component, LossTerm

RESNET18 = {"type": "ResNet18_vd", "output_stride": 8}
TINY_HRNET = {"type": "HRNet_W18_Small_V1"}


@dataclass(frozen=True)
class Network:
    """One architecture.

    Attributes:
        recipe: ``model:`` block of the Cityscapes recipe, without ``num_classes``.
        small: what a small network of the same code has otherwise.
        losses: the recipe's, one per map of logits in training.
        unused: beginnings of the names of parameters that stand in published weights and nothing reads.
        in_paddleseg: whether its numbers can be recorded from there (``scripts/oracle``).
    """

    recipe: dict[str, Any]
    small: dict[str, Any] = field(default_factory=dict)
    losses: tuple[LossTerm, ...] = (LossTerm(Component("CrossEntropyLoss")),)
    unused: tuple[str, ...] = ()
    in_paddleseg: bool = True

    @property
    def small_spec(self) -> dict[str, Any]:
        """``model:`` block of the small network; it gives as many maps of logits as the recipe's."""
        return {**self.recipe, **self.small}


def _recipe(case: str) -> dict[str, Any]:
    found = CASES[case]
    return found.model if found.backbone is None else {**found.model, "backbone": found.backbone}


def _term(loss: str, coef: float = 1.0, **arguments: Any) -> LossTerm:
    return LossTerm(Component(loss, arguments), coef)


def _cross_entropies(*coefficients: float) -> tuple[LossTerm, ...]:
    return tuple(_term("CrossEntropyLoss", coef) for coef in coefficients)


_AUXILIARY = _cross_entropies(1, 0.4)
_PYRAMID = {"aspp_ratios": [1, 6, 12], "aspp_out_channels": 32}

ZOO = {
    "ANN": Network(_recipe("ann"), {"backbone": RESNET18, "key_value_channels": 32, "inter_channels": 64}, _AUXILIARY),
    "AttentionUNet": Network(_recipe("attentionunet")),
    "BiSeNetV2": Network(_recipe("bisenetv2"), losses=_cross_entropies(1, 1, 1, 1, 1)),
    "DANet": Network(
        _recipe("danet"), {"backbone": RESNET18}, _cross_entropies(1, 1, 1, 0.4), unused=("head.aux_head_pam.",)
    ),
    "DNLNet": Network(_recipe("dnlnet"), {"backbone": RESNET18}, _AUXILIARY),
    "DecoupledSegNet": Network(
        _recipe("decoupledsegnet"),
        {"backbone": RESNET18, **_PYRAMID},
        (
            _term("OhemCrossEntropyLoss", min_kept=10000),
            _term("RelaxBoundaryLoss"),
            _term("BCELoss", 25, weight="dynamic", edge_label=True),
            _term("OhemEdgeAttentionLoss"),
        ),
    ),
    "DeepLabV3": Network(_recipe("deeplabv3_resnet50_os8"), {"backbone": RESNET18, **_PYRAMID}),
    "DeepLabV3P": Network(_recipe("deeplabv3p_resnet50_os8"), {"backbone": RESNET18, **_PYRAMID}),
    "EMANet": Network(
        _recipe("emanet"),
        {"backbone": RESNET18, "ema_channels": 64, "gc_channels": 32, "num_bases": 8},
        _AUXILIARY,
    ),
    "FCN": Network(_recipe("fcn_hrnet_w18"), {"backbone": TINY_HRNET}),
    "FastSCNN": Network(_recipe("fastscnn"), losses=_AUXILIARY),
    "GCNet": Network(_recipe("gcnet"), {"backbone": RESNET18, "gc_channels": 64}, _AUXILIARY),
    "GSCNN": Network(
        _recipe("gscnn"),
        {"backbone": RESNET18, **_PYRAMID},
        (
            _term("CrossEntropyLoss"),
            _term("EdgeAttentionLoss"),
            _term("BCELoss", 20, weight="dynamic", edge_label=True),
            _term("DualTaskLoss"),
        ),
    ),
    "HarDNet": Network(_recipe("hardnet"), losses=(_term("BootstrappedCrossEntropyLoss", min_K=4096, loss_th=0.3),)),
    "ISANet": Network(_recipe("isanet"), {"backbone": RESNET18, "isa_channels": 64}, _AUXILIARY),
    "OCRNet": Network(
        _recipe("ocrnet"), {"backbone": TINY_HRNET, "ocr_mid_channels": 64, "ocr_key_channels": 32}, _AUXILIARY
    ),
    "PSPNet": Network(_recipe("pspnet"), {"backbone": RESNET18, "pp_out_channels": 64}, _AUXILIARY),
    "SFNet": Network(_recipe("sfnet"), {"backbone": RESNET18}, (_term("OhemCrossEntropyLoss"),)),
    "ShuffleNetV2": Network(_recipe("shufflenetv2")),
    "U2Net": Network(_recipe("u2net"), losses=_cross_entropies(1, 1, 1, 1, 1, 1, 1)),
    "U2Netp": Network(_recipe("u2netp"), losses=_cross_entropies(1, 1, 1, 1, 1, 1, 1)),
    "UNet": Network(_recipe("unet")),
    "UNet3Plus": Network(_recipe("unet3plus")),
    "UNetPlusPlus": Network(_recipe("unetplusplus")),
}
