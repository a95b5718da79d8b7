"""What holds for every registered transform, over the table of cases."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from shared.registry import TRANSFORMS
from shared.transforms import RandomTransform, Sample
from tests.shared.transforms.transform_cases import CASES, MARK, Case, coordinates, photograph, rows_and_columns

SEEDS = range(12)
every_case = pytest.mark.parametrize("case", CASES, ids=str)
moving_case = pytest.mark.parametrize("case", [c for c in CASES if c.moves], ids=str)


def run(case: Case, sample: Sample, seed: int) -> Sample:
    case.build()(sample, np.random.default_rng(seed))
    return sample


def test_smoke_every_registered_transform_has_a_case() -> None:
    assert {case.type for case in CASES} == set(TRANSFORMS)


@every_case
def test_shape_and_dtypes(case: Case) -> None:
    for seed in SEEDS:
        sample = run(case, photograph(seed), seed)
        assert sample.image.ndim == 3
        assert sample.image.shape[2] == 3
        assert sample.label is not None
        assert sample.image.shape[:2] == sample.label.shape == (case.out_hw or sample.label.shape)
        assert sample.label.dtype == np.uint8
        assert sample.image.dtype in (np.uint8, np.float32)


@every_case
def test_value_label_ids_stay_within_the_original_ones_and_ignore(case: Case) -> None:
    for seed in SEEDS:
        before = photograph(seed)
        ids = set(np.unique(before.label)) | {255}
        assert set(np.unique(run(case, before, seed).label)) <= ids


@moving_case
def test_value_image_and_label_move_together(case: Case) -> None:
    for seed in SEEDS:
        for channel, label in enumerate(rows_and_columns()):
            sample = run(case, Sample(coordinates(), label), seed)
            inside = (sample.label != 255) & (np.abs(sample.image[..., 2].astype(float) - MARK) < 0.5)
            assert inside.mean() > 0.2
            place = sample.image[..., channel][inside] / 4.0
            assert np.abs(place - sample.label[inside]).max() <= case.slack


@pytest.mark.parametrize("case", [c for c in CASES if not c.moves], ids=str)
def test_value_photometric_transforms_leave_the_label(case: Case) -> None:
    for seed in SEEDS:
        assert np.array_equal(run(case, photograph(), seed).label, photograph().label)


@pytest.mark.parametrize("case", [c for c in CASES if "category_max_ratio" not in c.args], ids=str)
def test_value_without_label_the_image_is_the_same(case: Case) -> None:
    """But for the window that is chosen by the label's classes."""
    for seed in SEEDS:
        image_only = run(case, Sample(photograph().image), seed)
        assert image_only.label is None
        assert np.array_equal(image_only.image, run(case, photograph(), seed).image)


@every_case
def test_value_one_seed_is_one_result(case: Case) -> None:
    results = [run(case, photograph(), seed) for seed in SEEDS]
    again = [run(case, photograph(), seed) for seed in SEEDS]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(results, again))
    distinct = {(r.image.shape, r.image.tobytes()) for r in results}
    assert len(distinct) > 1 if case.random else len(distinct) == 1


@every_case
def test_value_drawing_and_applying_apart_is_the_call(case: Case) -> None:
    transform = case.build()
    if not isinstance(transform, RandomTransform):
        assert not case.random
        return
    for seed in SEEDS:
        rng, apart = np.random.default_rng(seed), photograph()
        transform.apply(apart, transform.draw(rng, apart.size_hw))
        assert np.array_equal(apart.image, run(case, photograph(), seed).image)
        used = np.random.default_rng(seed)
        transform(Sample(photograph(seed + 1).image), used)  # other pixels, no label: the same draws
        assert rng.random() == used.random()


@every_case
def test_value_the_arrays_given_are_not_written_to(case: Case) -> None:
    sample = photograph()
    image, label = sample.image, sample.label
    run(case, sample, 3)
    assert np.array_equal(image, photograph().image)
    assert np.array_equal(label, photograph().label)


@every_case
def test_value_pickled_transform_does_the_same(case: Case) -> None:
    ours, theirs = photograph(), photograph()
    pickle.loads(pickle.dumps(case.build()))(theirs, np.random.default_rng(5))
    case.build()(ours, np.random.default_rng(5))
    assert np.array_equal(ours.image, theirs.image)


@every_case
def test_value_undo_says_how_sizes_changed(case: Case) -> None:
    """The sizes in ``undo`` lead from the last size back to the first, and ``undoable`` tells the truth."""
    assert case.build().undoable is case.undoable
    if not case.undoable:
        return
    for seed in SEEDS:
        sample = run(case, photograph(), seed)
        sizes = [step[1][:2] for step in sample.undo] + [sample.size_hw]
        assert sizes[0] == (40, 60)
        assert len(sizes) > 1 or not case.moves or sample.size_hw == (40, 60)
