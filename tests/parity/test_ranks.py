"""The oracle of many cards: N ranks with batch b are one process with batch N * b, and both modes have equal bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dygraph.engine.exchange import Exchange
from tests.launching import run_ranks
from tests.parity import rank_worker
from tests.parity.ladder import differences

BOUND = 1e-9  # of the largest value of a tensor, in float64
IN_DOUBLE = [case for case, (dtype, _) in rank_worker.CASES.items() if dtype == "float64"]


@pytest.fixture(scope="module", params=[2, pytest.param(3, marks=pytest.mark.slow)], ids="{}-ranks".format)
def launched(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """One launch that does every case in both modes; where the ranks wrote, and how many they were."""
    out = tmp_path_factory.mktemp("ranks")
    run_ranks([["-m", "tests.parity.rank_worker", out]] * request.param, out)
    return out, request.param


def read(out: Path, case: str, mode: str, rank: int) -> dict[str, np.ndarray]:
    with np.load(out / f"{case}.{mode}.{rank}.npz") as file:
        return dict(file)


def relative(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict[str, float]:
    """By name, the largest difference over the largest value."""
    assert set(one) == set(other)
    return {k: np.abs(one[k] - other[k]).max() / max(np.abs(other[k]).max(), 1e-12) for k in one}


@pytest.mark.parametrize("case", IN_DOUBLE)
def test_parity_ranks_are_one_process_with_all_their_images(launched, case):
    out, world = launched
    dtype, norm = rank_worker.CASES[case]
    alone = rank_worker.eager_case(norm, dtype, 0, world, world * rank_worker.BATCH, Exchange())
    assert sum(name.startswith("gradient:") for name in alone) == 8, "a gradient of everything that is read"
    assert all(np.any(value) for name, value in alone.items() if name.startswith("gradient:conv1.weight"))
    for mode in ("eager", "static"):
        worst = relative(read(out, case, mode, 0), alone)
        assert max(worst.values()) < BOUND, worst


def test_parity_ranks_are_one_process_in_float32(launched):
    """Float32 gradients travel in another way than float64 ones."""
    out, world = launched
    dtype, norm = rank_worker.CASES["sync32"]
    alone = rank_worker.eager_case(norm, dtype, 0, world, world * rank_worker.BATCH, Exchange())
    worst = relative(read(out, "sync32", "eager", 0), alone)
    assert max(worst.values()) < 2e-4, worst


@pytest.mark.parametrize("case", rank_worker.CASES)
def test_parity_both_modes_have_equal_bits_on_every_rank(launched, case):
    out, world = launched
    for rank in range(world):
        eager, static = (read(out, case, mode, rank) for mode in ("eager", "static"))
        assert len(eager) > 20
        assert differences(eager, static) == []


@pytest.mark.parametrize("case", rank_worker.CASES)
def test_parity_ranks_hold_the_same_weights(launched, case):
    """Statistics too, unless every rank has its own, which then must differ, or the case shows nothing."""
    out, world = launched
    first, last = read(out, case, "eager", 0), read(out, case, "eager", world - 1)
    apart = {found.partition(":")[0] for found in differences(first, last)}
    moved = [name for name in differences(first, last) if "_mean" in name or "_variance" in name]
    if rank_worker.CASES[case][1] == "own":
        assert len(moved) == 4
        assert apart == {"model"}
    else:
        assert differences(first, last) == []
    assert len(differences(first, last)) == len(moved)


@pytest.mark.parametrize("mode", ["eager", "static"])
def test_value_an_infinity_on_one_rank_skips_the_step_on_all(launched, mode):
    """The last rank's second image is infinite. Without the skip the weights would not be numbers from then on."""
    out, world = launched
    first = read(out, "overflow", mode, 0)
    assert first["skipped"].tolist() == [False, True, False]
    assert first["scale"].tolist() == [8.0, 4.0, 4.0]
    weights = [name for name in first if name.startswith("weights:")]
    assert all(np.isfinite(first[name]).all() for name in weights)
    for rank in range(1, world):
        other = read(out, "overflow", mode, rank)
        for name in ("skipped", "scale", *weights):
            assert np.array_equal(first[name], other[name]), name


def test_value_small_exchanges(launched):
    out, world = launched
    for rank in range(world):
        with np.load(out / f"exchanges.{rank}.npz") as found:
            assert found["maximum"].tolist() == [world - 1, 0, 7]
            assert found["mean"].tolist() == pytest.approx([(world - 1) / 2, (1 - world) / 2, 7])
            assert found["sum"].tolist() == [sum(range(world)), 10 * world]
            assert found["gathered"].tolist() == list(range(world))
            assert found["broadcast"].tolist() == [0, 1, 2]
