"""Canny's edges, against OpenCV: the same pixels."""

from __future__ import annotations

import cv2
import numpy as np
import paddle
import pytest

from dygraph.layers.canny import canny
from tests.dygraph.networks import static_mode

THRESHOLDS = ((10, 100), (100, 200), (60, 60))


def pictures():
    """Noise, blurred noise, ramps with equal neighbours, a fading edge, and shapes of one row or two columns."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (65, 97, 3), dtype=np.uint8)
    fading = np.zeros((30, 80, 3), np.uint8)  # one long edge, a few strong pixels and many weak ones after them
    fading[15:] = np.linspace(120, 4, 80).astype(np.uint8)[:, None]
    ramp = (np.add.outer(3 * np.arange(40), 7 * np.arange(50))[..., None] * [1, 2, 1] % 256).astype(np.uint8)
    return {
        "noise": noise,
        "blurred": cv2.GaussianBlur(noise, (7, 7), 0),
        "smooth": cv2.GaussianBlur(noise, (15, 15), 0),
        "fading": fading,
        "ramp": ramp,
        "row": noise[:1],
        "column": noise[:, :2],
    }


def as_batch(*images):
    return np.stack([image.transpose(2, 0, 1) for image in images]).astype(np.int32)


@pytest.mark.parametrize("name", list(pictures()))
def test_value_canny_is_that_of_opencv(name):
    image = pictures()[name]
    for low, high in THRESHOLDS:
        found = canny(paddle.to_tensor(as_batch(image)), low, high).numpy()
        assert found.dtype == np.float32
        assert np.array_equal(255 * found[0, 0], cv2.Canny(image, low, high))


def test_value_images_of_a_batch_do_not_touch():
    images = [pictures()["noise"], pictures()["smooth"]]
    found = canny(paddle.to_tensor(as_batch(*images)), 10, 100).numpy()
    assert np.array_equal(255 * found[:, 0], [cv2.Canny(image, 10, 100) for image in images])


def test_value_gray_pictures_have_one_channel():
    gray = pictures()["blurred"][:, :, :1]
    found = canny(paddle.to_tensor(as_batch(gray)), 10, 100).numpy()
    assert np.array_equal(255 * found[0, 0], cv2.Canny(gray[:, :, 0], 10, 100))


def test_parity_a_program_of_unknown_size_draws_the_same():
    with static_mode() as (main, _):
        edges = canny(paddle.static.data("image", [-1, 3, -1, -1], "int32"), 10, 100)
        executor = paddle.static.Executor()
        for image in pictures().values():
            (found,) = executor.run(main, {"image": as_batch(image)}, [edges])
            assert np.array_equal(255 * found[0, 0], cv2.Canny(image, 10, 100))
