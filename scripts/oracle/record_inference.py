"""Record what paddleseg 2.8.0 makes of sliding windows, scales and flips, for tests/shared/engine/test_inference.py.

Run in an environment with paddleseg 2.8.0 and paddle 2.6.2:

    python scripts/oracle/record_inference.py

The network is one 3x3 convolution with zero padding, which a test can repeat in NumPy; unlike a pixelwise one it sees
where a window ends and which way the image is turned.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import paddle
from paddle import nn
from paddleseg.core import infer

TARGET = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "inference" / "paddleseg.json"
CHANNELS, CLASSES, HEIGHT, WIDTH = 3, 3, 11, 14
CASES = {  # sizes are (width, height) here, as paddleseg takes them
    "slide": {"crop": (6, 5), "stride": (4, 3)},
    "slide_no_overlap": {"crop": (6, 4), "stride": (6, 4)},
    "slide_one_row": {"crop": (5, 20), "stride": (3, 7)},
    "slide_whole": {"crop": (20, 20), "stride": (7, 7)},
    "scales": {"scales": (0.5, 1.0, 1.75)},
    "flip_horizontal": {"scales": (1.0,), "horizontal": True},
    "flip_vertical": {"scales": (1.25,), "vertical": True},
    "scales_and_both_flips": {"scales": (0.75, 1.3), "horizontal": True, "vertical": True},
    "everything": {
        "scales": (0.75, 1.5),
        "horizontal": True,
        "vertical": True,
        "crop": (8, 6),
        "stride": (5, 4),
    },
}


class Convolution(nn.Layer):
    """``[N, 3, h, w]`` -> a list with one ``[N, K, h, w]``."""

    def __init__(self, kernel: np.ndarray) -> None:
        super().__init__()
        self.kernel = paddle.to_tensor(kernel)

    def forward(self, image: paddle.Tensor) -> list[paddle.Tensor]:
        return [nn.functional.conv2d(image, self.kernel, padding=1)]


def record(model: nn.Layer, image: paddle.Tensor, case: dict) -> np.ndarray:
    """The logits ``[1, K, h, w]``, joined over windows, scales and flips."""
    if "scales" not in case:
        return infer.slide_inference(model, image, crop_size=case["crop"], stride=case["stride"]).numpy()
    ids, logits = infer.aug_inference(
        model,
        image,
        [],
        scales=list(case["scales"]),
        flip_horizontal=case.get("horizontal", False),
        flip_vertical=case.get("vertical", False),
        is_slide="crop" in case,
        crop_size=case.get("crop"),
        stride=case.get("stride"),
    )
    assert (ids.numpy()[:, 0] == logits.numpy().argmax(axis=1)).all(), "the ids are not those of the logits"
    return logits.numpy()


def rounded(array: np.ndarray) -> list:
    """Nested lists with nine significant digits, what tells float32 apart."""
    return json.loads(
        json.dumps(np.asarray(array, np.float64).tolist()), parse_float=lambda text: float(f"{float(text):.9g}")
    )


def main() -> None:
    rng = np.random.default_rng(7)
    image = rng.normal(size=(1, CHANNELS, HEIGHT, WIDTH)).round(3).astype(np.float32)
    kernel = rng.normal(size=(CLASSES, CHANNELS, 3, 3)).round(3).astype(np.float32)
    model = Convolution(kernel)
    model.eval()
    with paddle.no_grad():
        outputs = {
            name: {**case, "logits": rounded(record(model, paddle.to_tensor(image), case))}
            for name, case in CASES.items()
        }
    content = {"image": rounded(image), "kernel": rounded(kernel), "cases": outputs}
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
