"""Pipelines: colour order, layout, building from a config, and the way back for logits."""

from __future__ import annotations

import pickle

import numpy as np
import paddle
import pytest

from shared.config.run_config import Component
from shared.errors import ConfigError, DataError
from shared.transforms import Compose, Sample, build_transforms, undo_geometry
from shared.transforms.cropping import Padding, RandomPaddingCrop, ScalePadding
from shared.transforms.flips import RandomHorizontalFlip
from shared.transforms.photometric import Normalize, RandomDistort
from shared.transforms.resizing import Resize, ResizeByLong, ResizeStepScaling
from tests.shared.transforms.transform_cases import CASES, Case, coordinates, photograph


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_smoke_training_pipeline() -> None:
    place = [ResizeStepScaling(0.5, 2.0), RandomPaddingCrop((32, 24)), RandomHorizontalFlip()]
    recipe = [*place, RandomDistort(), Normalize()]
    for seed in range(10):
        sample = photograph()
        Compose(recipe)(sample, np.random.default_rng(seed))
        assert (sample.image.shape, sample.image.dtype) == ((3, 24, 32), np.float32)
        assert (sample.label.shape, sample.label.dtype) == ((24, 32), np.uint8)
        assert sample.image.flags.c_contiguous
        assert sample.label.flags.c_contiguous
        assert -1.0 <= sample.image.min() < sample.image.max() <= 1.0


@pytest.mark.parametrize("transforms", [[], [Normalize()], [Padding((64, 64))], [RandomHorizontalFlip(1)]])
def test_shape_image_is_contiguous_float32_planes(transforms: list) -> None:
    sample = photograph()
    Compose(transforms)(sample, rng())
    assert sample.image.shape[0] == 3
    assert sample.image.dtype == np.float32
    assert sample.image.flags.c_contiguous


@pytest.mark.parametrize(("to_rgb", "first"), [(True, 30.0), (False, 10.0)])
def test_value_colour_order(to_rgb: bool, first: float) -> None:
    bgr = np.full((2, 3, 3), (10, 20, 30), np.uint8)
    sample = Sample(bgr)
    Compose([], to_rgb)(sample, rng())
    assert sample.image[0, 0, 0] == first
    assert sample.image[1, 0, 0] == 20.0
    assert sample.rgb is to_rgb
    assert bgr[0, 0, 0] == 10  # the array given stays


def test_value_distort_sees_the_same_colours_in_either_order() -> None:
    recipe = [RandomDistort(brightness_prob=1, contrast_prob=1, saturation_prob=1, hue_prob=1)]
    for seed in range(5):
        bgr, rgb = photograph(), photograph()
        Compose(recipe, to_rgb=False)(bgr, np.random.default_rng(seed))
        Compose(recipe, to_rgb=True)(rgb, np.random.default_rng(seed))
        assert np.abs(bgr.image[::-1] - rgb.image).max() <= 3  # one level at each step


def test_value_pickled_pipeline() -> None:
    recipe = Compose([ResizeStepScaling(), RandomDistort(), Normalize()])
    ours, theirs = photograph(), photograph()
    recipe(ours, rng())
    pickle.loads(pickle.dumps(recipe))(theirs, rng())
    assert np.array_equal(ours.image, theirs.image)


def test_error_values_after_normalize() -> None:
    with pytest.raises(ValueError, match="RandomDistort must come before Normalize"):
        Compose([Normalize(), RandomHorizontalFlip(), RandomDistort()])
    with pytest.raises(ValueError, match="Normalize must come before"):
        Compose([Normalize(), Normalize()])
    Compose([RandomDistort(), Normalize(), RandomHorizontalFlip()])


def test_error_label_of_another_size() -> None:
    sample = Sample(np.zeros((4, 6, 3), np.uint8), np.zeros((6, 4), np.uint8), "a.png")
    with pytest.raises(DataError, match=r"label of a.png has shape \[6, 4\], expected \[4, 6\]"):
        Compose([])(sample, rng())


def test_error_grey_image() -> None:
    with pytest.raises(ValueError, match=r"expected an image \[H, W, 3\]; got \[4, 6\]"):
        Compose([])(Sample(np.zeros((4, 6), np.uint8)), rng())


def test_value_built_from_components() -> None:
    built = build_transforms(
        [Component("Resize", {"target_size": (20, 10)}), Component("Normalize", {"mean": [0.5] * 3, "std": [0.5] * 3})],
        to_rgb=True,
    )
    by_hand = Compose([Resize((20, 10)), Normalize()], to_rgb=True)
    ours, theirs = photograph(), photograph()
    built(ours, rng())
    by_hand(theirs, rng())
    assert ours.image.shape == (3, 10, 20)
    assert np.array_equal(ours.image, theirs.image)
    assert built.not_undoable() == []


def test_value_names_of_what_cannot_be_undone() -> None:
    assert Compose([case.build() for case in CASES if case.type != "Normalize"]).not_undoable() == [
        case.type for case in CASES if not case.undoable
    ]


def test_error_every_problem_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        build_transforms(
            [
                Component("Resise", {}),
                Component("Resize", {"target_sise": [4, 4], "interp": "LINAER"}),
                Component("ResizeByLong", {}),
                Component("RandomBlur", {"prob": 3}),
                Component("Normalize", {}),
            ],
            to_rgb=True,
        )
    problems = caught.value.problems
    assert [problem.split(":")[0] for problem in problems] == [
        "transforms[0]",
        "transforms[1] (Resize)",
        "transforms[2] (ResizeByLong)",
        "transforms[3] (RandomBlur)",
    ]
    assert "did you mean 'Resize'" in problems[0]
    assert "unknown key 'target_sise'; did you mean 'target_size'" in problems[1]
    assert "key 'long_size' is missing" in problems[2]
    assert "got 3" in problems[3]


def test_error_order_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="RandomBlur must come before Normalize"):
        build_transforms([Component("Normalize"), Component("RandomBlur")], to_rgb=True)


UNDOABLE = [case for case in CASES if case.undoable and case.moves]


@pytest.mark.parametrize("case", UNDOABLE, ids=str)
def test_value_undo_brings_pixels_back(case: Case) -> None:
    """The transformed coordinates, taken as logits and as ids, must lie where they came from."""
    sample = Sample(coordinates())
    case.build()(sample, np.random.default_rng(1))
    logits = np.ascontiguousarray(sample.image.transpose(2, 0, 1), np.float32)
    back = undo_geometry(logits, sample.undo)
    assert back.shape == (3, 40, 60)
    assert back.dtype == np.float32
    inner = np.s_[:, 4:-4, 4:-4]
    expected = coordinates().transpose(2, 0, 1)
    assert np.abs(back[inner] - expected[inner]).max() <= 4 * 1.6  # four grey levels are one pixel
    ids = undo_geometry(sample.image[..., 0].astype(np.int64), sample.undo)
    assert (ids.shape, ids.dtype) == ((40, 60), np.int64)
    assert np.abs(ids - expected[0])[4:-4, 4:-4].max() <= 4 * 2.1


@pytest.mark.parametrize("size_hw", [(7, 9), (20, 31), (13, 5), (26, 18)])
def test_value_undo_resize_is_paddles(size_hw: tuple[int, int]) -> None:
    logits = np.random.default_rng(0).standard_normal((4, 13, 9)).astype(np.float32)
    options = {"size": size_hw, "align_corners": False}
    bilinear = paddle.nn.functional.interpolate(paddle.to_tensor(logits[None]), mode="bilinear", **options)
    back = undo_geometry(logits, [("resize", size_hw)])
    np.testing.assert_allclose(back, bilinear.numpy()[0], rtol=0, atol=1e-5)
    ids = np.random.default_rng(0).integers(0, 19, (13, 9)).astype(np.int32)
    as_image = paddle.to_tensor(ids[None, None].astype(np.float32))
    nearest = paddle.nn.functional.interpolate(as_image, mode="nearest", size=size_hw)
    assert np.array_equal(undo_geometry(ids, [("resize", size_hw)]), nearest.numpy()[0, 0].astype(np.int32))


def test_value_undo_goes_from_last_to_first() -> None:
    sample = Sample(coordinates())
    Compose([ResizeByLong(30), Padding((40, 40)), ScalePadding((80, 80))])(sample, rng())
    assert sample.undo == [("resize", (40, 60)), ("pad", (20, 30)), ("resize", (40, 40))]
    assert undo_geometry(sample.image, sample.undo).shape == (3, 40, 60)


def test_value_undo_padding_placed_in_the_middle() -> None:
    array = np.arange(5 * 6).reshape(5, 6)
    assert np.array_equal(undo_geometry(array, [("pad", (2, 3, 1, 2))]), array[1:3, 2:5])
    assert np.array_equal(undo_geometry(array, [("pad", (2, 3))]), array[:2, :3])
    assert undo_geometry(array, []) is array


@pytest.mark.parametrize(
    ("array", "undo", "message"),
    [
        (np.zeros((2, 3, 4, 5), np.float32), [], r"expected float32 logits \[K, H, W\] .*got float32 \[2, 3, 4, 5\]"),
        (np.zeros((3, 4, 5), np.float64), [], "got float64"),
        (np.zeros((4, 5), np.float32), [], "got float32"),
        (np.zeros((4, 5), np.int32), [("flip", (4, 5))], "cannot undo step 'flip'"),
        (np.zeros((4, 5), np.int32), [("pad", (6, 5))], "cannot undo a padding of a 6x5 image .* only 4x5"),
    ],
)
def test_error_undo(array: np.ndarray, undo: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        undo_geometry(array, undo)
