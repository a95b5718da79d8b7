"""Records what PaddleSeg 2.8.0's transforms return, as expected values for ``tests/shared/transforms``.

Run in an environment with paddleseg 2.8.0 and paddle 2.6.2:

    python scripts/oracle/record_transforms.py

Writes ``tests/fixtures/transforms/paddleseg.json`` (cases and sizes) and ``paddleseg.npz`` (arrays). Only what does
not depend on chance is recorded: fixed transforms, and random ones whose range is a single value.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from paddleseg import transforms
from paddleseg.transforms import functional
from PIL import Image

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "transforms"
INTERPOLATIONS = ("NEAREST", "LINEAR", "CUBIC", "AREA", "LANCZOS4")
IMAGE_HW = (8, 11)

CASES: list[dict[str, Any]] = [
    {"type": "Normalize", "args": {}},
    {"type": "Normalize", "args": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}},
    {"type": "Normalize", "args": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}, "dtype": "float32"},
    {"type": "Padding", "args": {"target_size": [17, 13]}, "dtype": "float32"},
    {"type": "Padding", "args": {"target_size": [17, 13], "im_padding_value": 9, "label_padding_value": 3}},
    {"type": "Padding", "args": {"target_size": [11, 12]}, "dtype": "float32"},
    {"type": "PaddingByAspectRatio", "args": {"aspect_ratio": 1}, "dtype": "float32"},
    {"type": "PaddingByAspectRatio", "args": {"aspect_ratio": 1.7}, "dtype": "float32"},
    {"type": "PaddingByAspectRatio", "args": {"aspect_ratio": 0.9}, "dtype": "float32"},
    {"type": "ScalePadding", "args": {"target_size": [20, 20]}},
    {"type": "ScalePadding", "args": {"target_size": [9, 21], "im_padding_value": 40}},
    *({"type": "Resize", "args": {"target_size": [20, 9], "interp": name}} for name in INTERPOLATIONS),
    {"type": "Resize", "args": {"target_size": [7, 23], "interp": "LINEAR"}, "dtype": "float32"},
    {"type": "Resize", "args": {"target_size": [7, 23], "interp": "CUBIC"}, "dtype": "float32"},
    {"type": "Resize", "args": {"target_size": [16, 16], "keep_ratio": True}},
    {"type": "Resize", "args": {"target_size": [16, 16], "keep_ratio": True, "size_divisor": 5}},
    {"type": "ResizeByLong", "args": {"long_size": 7}},
    {"type": "ResizeByShort", "args": {"short_size": 16}},
    {"type": "ResizeByShort", "args": {"short_size": 16, "max_size": 18}},
    {"type": "LimitLong", "args": {"max_long": 7}},
    {"type": "LimitLong", "args": {"min_long": 19}},
    {"type": "LimitLong", "args": {"max_long": 30, "min_long": 5}},
    {"type": "ResizeRangeScaling", "args": {"min_value": 10, "max_value": 10}},
    {"type": "ResizeStepScaling", "args": {"min_scale_factor": 0.5, "max_scale_factor": 0.5}},
    {"type": "ResizeStepScaling", "args": {"min_scale_factor": 1.5, "max_scale_factor": 1.5}},
    {"type": "RandomHorizontalFlip", "args": {"prob": 1}},
    {"type": "RandomVerticalFlip", "args": {"prob": 1}},
    {"type": "RandomPaddingCrop", "args": {"crop_size": [11, 8]}},
    {"type": "RandomPaddingCrop", "args": {"crop_size": [16, 15]}, "dtype": "float32"},
    {"type": "RandomRotation", "args": {"max_rotation": 0}},
    {"type": "RandomScaleAspect", "args": {"min_scale": 0}},
    {"type": "RandomScaleAspect", "args": {"aspect_ratio": 0}},
    {"type": "RandomNoise", "args": {"prob": 0}},
    {"type": "RandomBlur", "args": {"prob": 0}},
]
SIZED: list[dict[str, Any]] = [
    {"type": "Resize", "args": {"target_size": [29, 17], "keep_ratio": True}},
    {"type": "Resize", "args": {"target_size": [20, 31], "keep_ratio": True, "size_divisor": 8}},
    {"type": "ResizeByLong", "args": {"long_size": 21}},
    {"type": "ResizeByShort", "args": {"short_size": 15, "max_size": 22}},
    {"type": "LimitLong", "args": {"max_long": 19, "min_long": 13}},
    {"type": "PaddingByAspectRatio", "args": {"aspect_ratio": 1.3}},
    {"type": "ResizeRangeScaling", "args": {"min_value": 23, "max_value": 23}},
    *(
        {"type": "ResizeStepScaling", "args": {"min_scale_factor": s, "max_scale_factor": s}}
        for s in (0.5, 0.75, 1.25, 1.75)
    ),
]
SIDES = (7, 10, 13, 22, 33)
STEPS = [[0.5, 2.0, 0.25], [0.5, 1.3, 0.3], [0.75, 1.25, 0.25], [0.5, 2.0, 0.1], [0.25, 0.6, 0.1]]
COLOURS = [
    *itertools.product(("brightness", "contrast", "saturation", "sharpness"), (0.5, 0.9, 1.5)),
    *(("hue", turn) for turn in (-18, 7, 60)),
]


def run(spec: dict[str, Any], image: np.ndarray, label: np.ndarray) -> dict[str, Any]:
    """One transform on copies of image and label."""
    data = {"img": image.copy(), "label": label.copy(), "gt_fields": ["label"], "trans_info": []}
    return getattr(transforms, spec["type"])(**spec["args"])(data)


def main() -> None:
    """Record everything."""
    generator = np.random.RandomState(7)
    image = generator.randint(0, 256, (*IMAGE_HW, 3)).astype(np.uint8)
    label = generator.choice([0, 1, 2, 5, 255], IMAGE_HW).astype(np.uint8)
    arrays = {"image": image, "label": label}
    for index, case in enumerate(CASES):
        result = run(case, image.astype(case.get("dtype", "uint8")), label)
        arrays[f"{index}/image"], arrays[f"{index}/label"] = result["img"], result["label"]
        case["undo"] = [[kind, list(size)] for kind, size in result["trans_info"]]
    for case in SIZED:
        case["sizes"] = []
        for hw in itertools.product(SIDES, SIDES):
            result = run(case, np.zeros((*hw, 3), np.uint8), np.zeros(hw, np.uint8))
            case["sizes"].append([list(hw), list(result["img"].shape[:2])])
    picture = Image.fromarray(image)
    for name, amount in COLOURS:
        arrays[f"{name}/{amount}"] = np.asarray(getattr(functional, name)(picture, amount, amount))
    facts = {"cases": CASES, "sized": SIZED, "colours": COLOURS, "steps": step_scales()}
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "paddleseg.json").write_text(json.dumps(facts, separators=(",", ":")) + "\n")
    np.savez_compressed(FOLDER / "paddleseg.npz", **arrays)


def step_scales() -> list[dict[str, Any]]:
    """The heights of a 1000-pixel image under 400 draws of each range of steps."""
    found = []
    for low, high, step in STEPS:
        spec = {"min_scale_factor": low, "max_scale_factor": high, "scale_step_size": step}
        transform = {"type": "ResizeStepScaling", "args": spec}
        np.random.seed(0)
        blank = np.zeros((1000, 8, 3), np.uint8)
        draws = {run(transform, blank, blank[..., 0])["img"].shape[0] for _ in range(400)}
        found.append({"args": spec, "heights": sorted(draws)})
    return found


if __name__ == "__main__":
    main()
