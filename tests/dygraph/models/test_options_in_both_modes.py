"""Constructor options that no recipe uses: both modes and both layouts take the same steps with them."""

from __future__ import annotations

import pytest

from shared.config.run_config import Component, LossTerm
from tests.parity import ladder
from tests.zoo import RESNET18

pytestmark = pytest.mark.slow

PYRAMID = {"backbone_indices": [0, 1, 2, 3]}
ALONE = {"enable_auxiliary_loss": False}
#: (``model:`` block, maps of logits in training)
OPTIONS = {
    "sfnet_supervised": ({"type": "SFNet", **PYRAMID, "backbone": RESNET18, "enable_auxiliary_loss": True}, 4),
    "sfnet_corners": ({"type": "SFNet", **PYRAMID, "backbone": RESNET18, "align_corners": True}, 1),
    "dnlnet_dot_product": (
        {"type": "DNLNet", "backbone": RESNET18, "mode": "dot_product", "use_scale": False, **ALONE},
        1,
    ),
    "emanet_alone": (
        {"type": "EMANet", "backbone": RESNET18, "ema_channels": 64, "num_bases": 8, "concat_input": False, **ALONE},
        1,
    ),
    "isanet_alone": ({"type": "ISANet", "backbone": RESNET18, "isa_channels": 64, "down_factor": [4, 2], **ALONE}, 1),
    "pspnet_corners": ({"type": "PSPNet", "backbone": RESNET18, "pp_out_channels": 32, "align_corners": True}, 2),
    "fastscnn_alone": ({"type": "FastSCNN", **ALONE}, 1),
    "ocrnet_resnet": (
        {"type": "OCRNet", "backbone_indices": [2, 3], "ocr_mid_channels": 64, "backbone": RESNET18},
        2,
    ),
    "fcn_resnet": ({"type": "FCN", "backbone": RESNET18, "bias": False, "channels": 7}, 1),
    "unet_deconv": ({"type": "UNet", "use_deconv": True}, 1),
    "unetplusplus_deconv": ({"type": "UNetPlusPlus", "use_deconv": True, "is_ds": False}, 1),
    "unet3plus_supervised": ({"type": "UNet3Plus", "is_deepsup": True}, 5),
    "unet3plus_guided": ({"type": "UNet3Plus", "is_CGM": True, "is_batchnorm": False}, 5),
}


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("name", OPTIONS)
def test_parity_two_steps(name, data_format):
    spec, maps = OPTIONS[name]
    shape = (2, 3, 32, 48) if spec["type"].startswith("UNet") else (2, 3, 49, 65)
    losses = tuple(LossTerm(Component("CrossEntropyLoss"), 0.5 + 0.25 * i) for i in range(maps))
    pair = ladder.make_pair(spec, shape, losses=losses, data_format=data_format)
    images, _ = ladder.images_and_labels((1, 3, 33, 57))  # a size the inference Program was not built for
    eager, static = pair.eager.logits(images), pair.static.logits(images)
    assert ladder.differences({"logits": eager}, {"logits": static}) == []
    assert ladder.steps(pair.eager, shape, 2) == ladder.steps(pair.static, shape, 2)
    assert ladder.state_differences(pair.eager.state(), pair.static.state()) == []
