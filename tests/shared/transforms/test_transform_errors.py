"""Bad arguments are refused by name and value; images that cannot be taken by path and size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shared.errors import DataError
from shared.registry import TRANSFORMS
from shared.transforms import Sample

BAD = (
    ("Resize", {"target_size": 512}, r"target_size must be \[width, height\], two whole numbers >= 1; got 512"),
    ("Resize", {"target_size": [512]}, r"got \[512\]"),
    ("Resize", {"target_size": [512, 0]}, r"got \[512, 0\]"),
    ("Resize", {"target_size": [512, 10.5]}, r"got \[512, 10.5\]"),
    ("Resize", {"target_size": "512"}, "got '512'"),
    ("Resize", {"interp": "LINAER"}, "interp must be one of NEAREST, .*; got 'LINAER'; did you mean 'LINEAR'"),
    ("Resize", {"interp": 1}, "interp must be one of"),
    ("Resize", {"keep_ratio": "yes"}, "keep_ratio must be True or False; got 'yes'"),
    ("Resize", {"size_divisor": 0}, "size_divisor must be a whole number >= 1; got 0"),
    ("ResizeByLong", {"long_size": 0}, "long_size"),
    ("ResizeByLong", {"long_size": True}, "long_size must be a whole number >= 1; got True"),
    ("ResizeByShort", {"short_size": -3}, "short_size"),
    ("ResizeByShort", {"short_size": 3, "max_size": 0}, "max_size must be a number >= 1; got 0"),
    ("LimitLong", {"max_long": 5, "min_long": 9}, "min_long must not exceed max_long; got min_long 9 and max_long 5"),
    ("ResizeRangeScaling", {"min_value": 600, "max_value": 400}, "min_value must not exceed max_value"),
    ("ResizeStepScaling", {"min_scale_factor": 0}, "min_scale_factor must be a number > 0; got 0"),
    ("ResizeStepScaling", {"min_scale_factor": 2, "max_scale_factor": 1}, "min_scale_factor must not exceed"),
    ("ResizeStepScaling", {"scale_step_size": -0.25}, "scale_step_size must be a number >= 0; got -0.25"),
    ("ResizeStepScaling", {"max_scale_factor": float("nan")}, "max_scale_factor must be a number > 0; got nan"),
    ("Normalize", {"mean": [0.5, 0.5]}, r"mean must be one number or three \(one per channel\); got \[0.5, 0.5\]"),
    ("Normalize", {"std": [0.5, 0, 0.5]}, "std must be above 0 in every channel"),
    ("Normalize", {"std": "0.5"}, "std must be one number or three"),
    ("Padding", {"target_size": [-1, 4]}, "target_size"),
    ("Padding", {"target_size": [4, 4], "im_padding_value": 256}, r"im_padding_value .* in \[0, 255\]; got 256"),
    ("Padding", {"target_size": [4, 4], "im_padding_value": [1, 2]}, "im_padding_value"),
    ("Padding", {"target_size": [4, 4], "label_padding_value": 300}, r"label_padding_value .*\[0, 255\]; got 300"),
    ("PaddingByAspectRatio", {"aspect_ratio": 0}, "aspect_ratio must be a number > 0; got 0"),
    ("ScalePadding", {"target_size": [0, 4]}, "target_size"),
    ("RandomPaddingCrop", {"crop_size": 512}, "crop_size must be"),
    ("RandomPaddingCrop", {"category_max_ratio": 0}, r"category_max_ratio must be a number in \(0, 1\]; got 0"),
    ("RandomPaddingCrop", {"loop_times": 0}, "loop_times"),
    ("RandomPaddingCrop", {"ignore_index": -1}, "ignore_index"),
    ("RandomCenterCrop", {"retain_ratio": [0.5, 1.2]}, r"retain_ratio must be .* \[0, 1\]; got \[0.5, 1.2\]"),
    ("RandomCenterCrop", {"retain_ratio": 0.5}, "retain_ratio"),
    ("RandomHorizontalFlip", {"prob": 1.5}, r"prob must be a number in \[0, 1\]; got 1.5"),
    ("RandomVerticalFlip", {"prob": -0.1}, "prob"),
    ("RandomNoise", {"prob": "half"}, "prob .*got 'half'"),
    ("RandomNoise", {"max_sigma": -1}, "max_sigma must be a number >= 0; got -1"),
    ("RandomBlur", {"prob": 2}, "prob"),
    ("RandomBlur", {"blur_type": "gausian"}, "blur_type .*did you mean 'gaussian'"),
    ("RandomDistort", {"brightness_range": 1.5}, r"brightness_range must be a number in \[0, 1\]; got 1.5"),
    ("RandomDistort", {"hue_range": 300}, "hue_range"),
    ("RandomDistort", {"sharpness_prob": -1}, "sharpness_prob"),
    ("RandomRotation", {"max_rotation": 270}, r"max_rotation must be a number in \[0, 180\]; got 270"),
    ("RandomAffine", {"size": 224}, "size must be"),
    ("RandomAffine", {"translation_offset": -2}, "translation_offset"),
    ("RandomAffine", {"min_scale_factor": 3, "max_scale_factor": 2}, "min_scale_factor must not exceed"),
    ("RandomScaleAspect", {"min_scale": 1.1}, "min_scale"),
    ("RandomScaleAspect", {"aspect_ratio": 2}, r"aspect_ratio must be a number in \[0, 1\]; got 2"),
)


@pytest.mark.parametrize(("name", "args", "message"), BAD)
def test_error_bad_argument(name: str, args: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TRANSFORMS[name](**args)


def test_error_every_transform_checks_something() -> None:
    assert {name for name, _, _ in BAD} == set(TRANSFORMS)


def test_error_image_larger_than_padding_target() -> None:
    sample = Sample(np.zeros((70, 90, 3), np.uint8), path="street/0001.png")
    with pytest.raises(DataError, match=r"street/0001.png is 90x70 .*target_size 80x80: put a Resize"):
        TRANSFORMS["Padding"](target_size=[80, 80])(sample, np.random.default_rng(0))
    assert sample.size_hw == (70, 90)


def test_error_image_that_would_vanish() -> None:
    sample = Sample(np.zeros((2, 900, 3), np.uint8), path="strip.png")
    with pytest.raises(DataError, match=r"strip.png of 900x2 .* would vanish when scaled by 0.1111"):
        TRANSFORMS["ResizeByLong"](long_size=100)(sample, np.random.default_rng(0))
