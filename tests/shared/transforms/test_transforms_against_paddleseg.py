"""Equal to PaddleSeg 2.8.0 where nothing is left to chance (facts of ``scripts/oracle/record_transforms.py``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.registry import TRANSFORMS
from shared.transforms import Sample
from shared.transforms import functional as F  # noqa: N812

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "transforms"
FACTS = json.loads((FOLDER / "paddleseg.json").read_text())
GREY_LEVELS = {"hue": 8}  # the peer's hue goes through 8 bits and wraps at 256 of 255 steps; the others: one level


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "paddleseg.npz") as archive:
        return dict(archive)


def name(spec: dict[str, Any]) -> str:
    return f"{spec['type']}-{spec['args']}-{spec.get('dtype', 'uint8')}"


@pytest.mark.parametrize("index", range(len(FACTS["cases"])), ids=lambda i: name(FACTS["cases"][i]))
def test_value_image_and_label(index: int, arrays: dict[str, np.ndarray]) -> None:
    spec = FACTS["cases"][index]
    sample = Sample(arrays["image"].astype(spec.get("dtype", "uint8")), arrays["label"].copy())
    TRANSFORMS[spec["type"]](**spec["args"])(sample, np.random.default_rng(0))
    expected = arrays[f"{index}/image"]
    assert sample.image.shape == expected.shape
    tolerance = 1e-6 if spec["type"] == "Normalize" else 1e-4 if sample.image.dtype == np.float32 else 0
    np.testing.assert_allclose(sample.image.astype(np.float64), expected, rtol=0, atol=tolerance)
    if spec["type"] != "ScalePadding":  # the peer interpolates its labels there, which makes up ids
        assert np.array_equal(sample.label, arrays[f"{index}/label"])


@pytest.mark.parametrize("spec", [spec for spec in FACTS["cases"] if spec["undo"]], ids=name)
def test_value_undo(spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    sample = Sample(arrays["image"])
    TRANSFORMS[spec["type"]](**spec["args"])(sample, np.random.default_rng(0))
    changed = sample.size_hw != arrays["image"].shape[:2]  # the peer notes steps that change nothing, too
    words = {"padding": "pad", "resize": "resize"}
    assert sample.undo == ([(words[kind], tuple(size)) for kind, size in spec["undo"]] if changed else [])


@pytest.mark.parametrize("spec", FACTS["sized"], ids=name)
def test_shape_of_many_sizes(spec: dict[str, Any]) -> None:
    transform = TRANSFORMS[spec["type"]](**spec["args"])
    for size_hw, expected in spec["sizes"]:
        sample = Sample(np.zeros((*size_hw, 3), np.uint8))
        transform(sample, np.random.default_rng(0))
        assert list(sample.size_hw) == expected, size_hw


@pytest.mark.parametrize(("operation", "amount"), FACTS["colours"])
def test_value_colours(operation: str, amount: float, arrays: dict[str, np.ndarray]) -> None:
    ours = getattr(F, operation)(arrays["image"], amount)
    difference = np.abs(ours.astype(int) - arrays[f"{operation}/{amount}"])
    assert difference.max() <= GREY_LEVELS.get(operation, 1)


@pytest.mark.parametrize("spec", FACTS["steps"], ids=lambda s: str(list(s["args"].values())))
def test_value_set_of_scales(spec: dict[str, Any]) -> None:
    transform = TRANSFORMS["ResizeStepScaling"](**spec["args"])
    rng = np.random.default_rng(0)
    heights = set()
    for _ in range(400):
        sample = Sample(np.zeros((1000, 8, 3), np.uint8))
        transform(sample, rng)
        heights.add(sample.size_hw[0])
    assert sorted(heights) == spec["heights"]
