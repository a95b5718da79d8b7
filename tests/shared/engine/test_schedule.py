"""Every schedule against Paddle's own class, stepped in a loop as a training loop does."""

from __future__ import annotations

import math

import pytest

from shared.config.run_config import ScheduleConfig
from shared.engine.schedule import Schedule
from shared.errors import ConfigError

TOTAL = 60
PER_EPOCH = 7


def ours(config: ScheduleConfig, steps: int = TOTAL) -> list[float]:
    schedule = Schedule(config, total_iters=TOTAL, iters_per_epoch=PER_EPOCH)
    return [schedule(i) for i in range(steps)]


def stepped(scheduler, steps: int = TOTAL) -> list[float]:
    values = []
    for _ in range(steps):
        values.append(scheduler())
        scheduler.step()
    return values


@pytest.fixture(scope="module")
def lr():
    from paddle.optimizer import lr

    return lr


def close(a: list[float], b: list[float]) -> None:
    assert len(a) == len(b)
    assert a == pytest.approx(b, rel=0, abs=1e-12)


@pytest.mark.parametrize("decay", [None, 25, 200])
@pytest.mark.parametrize(("power", "end_lr"), [(0.9, 0.0), (2.0, 0.001), (1.0, 0.05)])
def test_value_poly(lr, decay, power, end_lr):
    config = ScheduleConfig("poly", learning_rate=0.01, end_lr=end_lr, power=power, decay_iters=decay)
    close(ours(config), stepped(lr.PolynomialDecay(0.01, decay or TOTAL, end_lr=end_lr, power=power)))


@pytest.mark.parametrize(("boundaries", "unit"), [((10, 30, 31), "iter"), ((2, 5), "epoch"), ((30, 10), "iter")])
def test_value_step(lr, boundaries, unit):
    config = ScheduleConfig("step", learning_rate=0.5, gamma=0.2, boundaries=boundaries, boundary_unit=unit)
    iterations = sorted(b * (PER_EPOCH if unit == "epoch" else 1) for b in boundaries)
    values = [0.5 * 0.2**n for n in range(len(boundaries) + 1)]
    close(ours(config), stepped(lr.PiecewiseDecay(iterations, values)))


@pytest.mark.parametrize("decay", [None, 25])
@pytest.mark.parametrize("end_lr", [0.0, 0.002])
def test_value_cosine(lr, decay, end_lr):
    config = ScheduleConfig("cosine", learning_rate=0.1, end_lr=end_lr, decay_iters=decay)
    close(ours(config), stepped(lr.CosineAnnealingDecay(0.1, decay or TOTAL, eta_min=end_lr)))


def test_value_cosine_in_epochs(lr):
    config = ScheduleConfig("cosine", learning_rate=0.1, step_unit="epoch", decay_iters=5 * PER_EPOCH)
    by_epoch = stepped(lr.CosineAnnealingDecay(0.1, 5), steps=9)
    close(ours(config), [by_epoch[i // PER_EPOCH] for i in range(TOTAL)])


def test_value_cosine_in_epochs_counts_a_begun_epoch():
    # 60 iterations of 7 are 8 whole epochs and a begun ninth, so epoch 8 gets cos(8/9 pi).
    config = ScheduleConfig("cosine", learning_rate=1.0, step_unit="epoch")
    assert ours(config)[-1] == pytest.approx((1 + math.cos(math.pi * 8 / 9)) / 2, abs=1e-15)


def test_value_constant():
    assert ours(ScheduleConfig("constant", learning_rate=0.3)) == [0.3] * TOTAL


@pytest.mark.parametrize("kind", ["poly", "step", "cosine", "constant"])
def test_value_warmup(lr, kind):
    config = ScheduleConfig(
        kind, learning_rate=0.1, power=0.9, gamma=0.1, boundaries=(10, 20), warmup_iters=12, warmup_start_lr=1e-4
    )
    inner = {
        "poly": lambda: lr.PolynomialDecay(0.1, TOTAL - 12, end_lr=0.0, power=0.9),
        "step": lambda: lr.PiecewiseDecay([10, 20], [0.1, 0.01, 0.001]),
        "cosine": lambda: lr.CosineAnnealingDecay(0.1, TOTAL - 12),
        "constant": lambda: 0.1,
    }[kind]()
    close(ours(config), stepped(lr.LinearWarmup(inner, warmup_steps=12, start_lr=1e-4, end_lr=0.1)))


def test_value_warmup_with_given_decay(lr):
    config = ScheduleConfig("poly", learning_rate=0.1, decay_iters=TOTAL, warmup_iters=5)
    inner = lr.PolynomialDecay(0.1, TOTAL, end_lr=0.0, power=0.9)
    close(ours(config), stepped(lr.LinearWarmup(inner, 5, 0.0, 0.1)))


@pytest.mark.parametrize(
    "config",
    [
        ScheduleConfig("poly", learning_rate=0.1, end_lr=0.01),
        ScheduleConfig("poly", learning_rate=0.1, end_lr=0.2),
        ScheduleConfig("poly", learning_rate=0.1, warmup_iters=7, warmup_start_lr=0.3),
        ScheduleConfig("poly", learning_rate=0.1, warmup_iters=200),
        ScheduleConfig("step", learning_rate=0.1, gamma=2.0, boundaries=(20, 40), warmup_iters=3),
        ScheduleConfig("step", learning_rate=0.1, gamma=0.5, boundaries=(1, 3), boundary_unit="epoch"),
        ScheduleConfig("cosine", learning_rate=0.1, end_lr=0.3, decay_iters=10, warmup_iters=4),
        ScheduleConfig("cosine", learning_rate=0.1, end_lr=0.3, decay_iters=15, step_unit="epoch"),
        ScheduleConfig("constant", learning_rate=0.1),
    ],
)
def test_value_describe(config):
    schedule = Schedule(config, TOTAL, PER_EPOCH)
    everything = [schedule(i) for i in range(TOTAL)]
    assert schedule.describe() == (everything[0], max(everything), everything[-1])


def test_value_plain_floats():
    for kind in ("poly", "step", "cosine", "constant"):
        assert all(type(v) is float for v in ours(ScheduleConfig(kind, boundaries=(3,), warmup_iters=2)))


def test_value_one_iteration_run():
    assert Schedule(ScheduleConfig("poly", learning_rate=0.1, warmup_iters=5), 1, 1).describe() == (0.0, 0.0, 0.0)
    assert Schedule(ScheduleConfig("cosine", learning_rate=0.1), 1, 1).describe() == (0.1, 0.1, 0.1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "exp"}, "schedule.type: got 'exp'; expected one of poly, step"),
        ({"step_unit": "batch"}, "schedule.step_unit: got 'batch'"),
        ({"boundary_unit": "batch"}, "schedule.boundary_unit: got 'batch'"),
        ({"decay_iters": 0}, "schedule.decay_iters: got 0; expected 1"),
        ({"warmup_iters": -1}, "schedule.warmup_iters: got -1"),
        ({"boundaries": (5, -2)}, "schedule.boundaries: got -2"),
        ({"learning_rate": math.nan}, "schedule.learning_rate: got nan"),
        ({"power": -0.5}, "schedule.power: got -0.5"),
    ],
)
def test_error_field(change, words):
    with pytest.raises(ConfigError, match=words):
        Schedule(ScheduleConfig(**change), TOTAL, PER_EPOCH)


def test_error_all_at_once():
    with pytest.raises(ConfigError) as caught:
        Schedule(ScheduleConfig(type="exp", power=-1), 0, 0)
    assert [p.split(":")[0] for p in caught.value.problems] == [
        "schedule.type",
        "schedule.total_iters",
        "schedule.iters_per_epoch",
        "schedule.power",
    ]


def test_error_negative_iteration():
    with pytest.raises(ValueError, match="iteration is -1"):
        Schedule(ScheduleConfig(), TOTAL, PER_EPOCH)(-1)


def test_value_warmup_that_does_not_shift_hides_the_beginning_of_the_schedule():
    plain = Schedule(ScheduleConfig("poly", 0.1, power=2.0), 100, 10)
    hidden = Schedule(ScheduleConfig("poly", 0.1, power=2.0, warmup_iters=20, warmup_shifts=False), 100, 10)
    assert [hidden(i) for i in (0, 10, 19)] == pytest.approx([0.0, 0.05, 0.095])
    assert [hidden(i) for i in range(20, 100)] == [plain(i) for i in range(20, 100)]
    assert hidden.describe().peak == pytest.approx(0.095)
