"""Networks of ``scripts/oracle/cases.py``, built here and filled by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from dygraph.build import build_model
from scripts.oracle.cases import CASES, NUM_CLASSES, Case
from scripts.oracle.fixed_weights import fixed_array
from shared.registry import MODELS

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "paddleseg"

#: Small networks that together use every layer: for tests that need no recorded values.
SMALL: dict[str, dict[str, Any]] = {
    "fcn": {"type": "FCN", "backbone": {"type": "HRNet_W18_Small_V1"}},
    "fcn_se": {"type": "FCN", "backbone": {"type": "HRNet_W18_Small_V1", "has_se": True, "padding_same": False}},
    "deeplabv3p": {"type": "DeepLabV3P", "backbone": {"type": "ResNet18_vd", "multi_grid": [1, 2]}},
    "deeplabv3p_plain": {
        "type": "DeepLabV3P",
        "backbone": {"type": "ResNet18_vd", "output_stride": 16},
        "aspp_use_sep_conv": False,
        "decoder_use_sep_conv": False,
        "aspp_out_channels": 32,
    },
    "deeplabv3": {"type": "DeepLabV3", "backbone": {"type": "ResNet18_vd"}, "aspp_out_channels": 32},
}


def recorded(name: str) -> Any:
    """What ``record_paddleseg.py`` wrote for a case."""
    return json.loads((FIXTURES / f"{name}.json").read_text())


def case_spec(case: Case, align_corners: bool = False) -> dict[str, Any]:
    """The ``model:`` block of a case; ``align_corners`` goes where the network takes it."""
    spec = {**case.model, "num_classes": NUM_CLASSES}
    if "align_corners" in MODELS.parameters(spec["type"]):
        spec["align_corners"] = align_corners
    if case.backbone is not None:
        spec["backbone"] = dict(case.backbone)
        if spec["backbone"]["type"].startswith("HRNet"):
            spec["backbone"]["align_corners"] = align_corners
    return spec


def build_case(name: str, align_corners: bool, dtype: str = "float64") -> paddle.nn.Layer:
    """A filled network of a recorded case."""
    with default_dtype(dtype):
        return fill(build_model(case_spec(CASES[name], align_corners)))


def fill(network: paddle.nn.Layer) -> paddle.nn.Layer:
    """Give every tensor the value that follows from its name, and switch dropout off."""
    for key, value in network.state_dict().items():
        value.set_value(fixed_array(key, value.shape).astype(value.numpy().dtype))
    return without_dropout(network)


def without_dropout(network: paddle.nn.Layer) -> paddle.nn.Layer:
    """Dropout draws from a generator of its own in either mode; comparisons do without."""
    for layer in network.sublayers():
        if isinstance(layer, (paddle.nn.Dropout, paddle.nn.Dropout2D)):
            layer.p = 0.0
    return network


def run_all(network: paddle.nn.Layer, images: np.ndarray, training: bool) -> list[Any]:
    """Every map of logits, main ones first; a pair of maps stays a list of two."""
    network.train() if training else network.eval()
    dtype = network.parameters()[0].numpy().dtype
    with paddle.no_grad():
        return [_as_arrays(maps) for maps in network(paddle.to_tensor(images.astype(dtype)))]


def _as_arrays(maps: Any) -> Any:
    return [_as_arrays(x) for x in maps] if isinstance(maps, (list, tuple)) else maps.numpy()


def run(network: paddle.nn.Layer, images: np.ndarray, training: bool) -> np.ndarray:
    """The main logits."""
    return run_all(network, images, training)[0]


@contextmanager
def default_dtype(dtype: str) -> Iterator[None]:
    """New parameters have this type inside the block."""
    before = paddle.get_default_dtype()
    paddle.set_default_dtype(dtype)
    try:
        yield
    finally:
        paddle.set_default_dtype(before)


@contextmanager
def static_mode() -> Iterator[tuple[paddle.static.Program, paddle.static.Program]]:
    """A main and a startup program to build in, and an empty scope to run them in."""
    paddle.enable_static()
    main, startup = paddle.static.Program(), paddle.static.Program()
    try:
        with paddle.static.scope_guard(paddle.static.Scope()), paddle.static.program_guard(main, startup):
            yield main, startup
    finally:
        paddle.disable_static()
