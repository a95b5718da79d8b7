"""Components: blocks of a config as values."""

from __future__ import annotations

from shared.config.run_config import Component


def test_value_without_an_argument_keeps_everything_else():
    inner = Component("ResNet18_vd", {"pretrained": "http://a/b.tar.gz", "output_stride": 8})
    model = Component("DeepLabV3P", {"backbone": inner, "num_classes": 5, "pretrained": "c.pdparams"})
    assert model.without("pretrained") == Component(
        "DeepLabV3P", {"backbone": Component("ResNet18_vd", {"output_stride": 8}), "num_classes": 5}
    )
    assert inner.args["pretrained"] == "http://a/b.tar.gz", "the original is untouched"
