from __future__ import annotations

import pytest

from shared.config.learning_rate import read_schedule
from shared.config.run_config import OptimizerConfig, ScheduleConfig
from shared.config.section import Findings
from shared.config.solver import read_optimizer


def optimizer(**spec):
    findings = Findings()
    return read_optimizer(spec, findings), list(findings)


def schedule(iters=100, **values):
    findings = Findings()
    return read_schedule(values, iters, findings), list(findings)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"type": "sgd"}, OptimizerConfig("momentum", momentum=0.9)),
        ({"type": "SGD", "momentum": 0}, OptimizerConfig("momentum", momentum=0.0)),
        (
            {"type": "sgd", "momentum": 0.8, "weight_decay": 4e-5, "use_nesterov": True},
            OptimizerConfig("momentum", momentum=0.8, weight_decay=4e-5, use_nesterov=True),
        ),
        ({"type": "Momentum", "nesterov": True}, OptimizerConfig("momentum", use_nesterov=True)),
        ({"type": "adam", "weight_decay": None}, OptimizerConfig("adam")),
        (
            {"type": "Adam", "beta1": 0.8, "beta2": 0.99, "epsilon": 1e-6, "weight_decay": 0.01},
            OptimizerConfig("adam", beta1=0.8, beta2=0.99, epsilon=1e-6, weight_decay=0.01),
        ),
        ({"type": "AdamW"}, OptimizerConfig("adamw", weight_decay=0.01)),
        ({"type": "AdamW", "weight_decay": 0}, OptimizerConfig("adamw", weight_decay=0.0)),
    ],
)
def test_value_optimizers(spec, expected):
    assert optimizer(**spec) == (expected, [])


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({}, "optimizer.type: missing"),
        ({"type": "lamb"}, "optimizer.type: expected one of sgd, momentum, adam, adamw, got 'lamb'"),
        ({"type": "adam", "momentum": 0.9}, "optimizer.momentum: the optimizer adam has no key 'momentum'"),
        ({"type": "sgd", "beta1": 0.9}, "optimizer.beta1: the optimizer sgd has no key 'beta1'"),
        ({"type": "sgd", "nesterov": True, "use_nesterov": True}, "optimizer.nesterov: the optimizer sgd has no key"),
        ({"type": "sgd", "grad_clip": 3}, "optimizer.grad_clip: gradients are not clipped here"),
        (
            {"type": "sgd", "grad_clip_cfg": {"name": "ClipGradByNorm", "clip_norm": 1}},
            "optimizer.grad_clip_cfg: gradients are not clipped here",
        ),
        ({"type": "sgd", "custom_cfg": [{"name": "backbone", "lr_mult": 0.1}]}, "optimizer.custom_cfg: all parameters"),
        ({"type": "sgd", "weight_decay": -1}, "optimizer.weight_decay: expected 0 or more, got -1"),
        ({"type": "sgd", "weight_decay": "4e-5"}, "optimizer.weight_decay: expected a number or null, got the text"),
        ({"type": "adam", "epsilon": 0}, "optimizer.epsilon: expected more than 0, got 0"),
        ({"type": 5}, "optimizer.type: expected text, got 5"),
    ],
)
def test_error_optimizers(spec, sentence):
    _, findings = optimizer(**spec)
    assert len(findings) == 1
    assert findings[0].startswith(sentence)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"type": "PolynomialDecay", "learning_rate": 0.1}, ScheduleConfig("poly", 0.1, end_lr=1e-4, power=1.0)),
        (
            {"type": "PolynomialDecay", "learning_rate": 1, "end_lr": 0, "power": 0.9, "decay_steps": 50},
            ScheduleConfig("poly", 1.0, end_lr=0.0, power=0.9, decay_iters=50),
        ),
        (
            {"type": "StepDecay", "learning_rate": 0.1, "step_size": 30, "gamma": 0.5},
            ScheduleConfig("step", 0.1, gamma=0.5, boundaries=(30, 60, 90)),
        ),
        (
            {"type": "MultiStepDecay", "learning_rate": 0.1, "milestones": [10, 20]},
            ScheduleConfig("step", 0.1, gamma=0.1, boundaries=(10, 20)),
        ),
        (
            {"type": "MultiStepDecay", "learning_rate": 0.1, "milestones": [1, 2], "boundary_unit": "epoch"},
            ScheduleConfig("step", 0.1, gamma=0.1, boundaries=(1, 2), boundary_unit="epoch"),
        ),
        (
            {"type": "PiecewiseDecay", "boundaries": [10, 20], "values": [0.1, 0.01, 0.001]},
            ScheduleConfig("step", 0.1, gamma=0.1, boundaries=(10, 20)),
        ),
        (
            {"type": "CosineAnnealingDecay", "learning_rate": 0.1, "T_max": 40, "eta_min": 0.01},
            ScheduleConfig("cosine", 0.1, end_lr=0.01, decay_iters=40),
        ),
        (
            {"type": "CosineAnnealingDecay", "learning_rate": 0.1, "step_unit": "epoch", "warmup_iters": 5},
            ScheduleConfig("cosine", 0.1, end_lr=0.0, step_unit="epoch", warmup_iters=5),
        ),
        ({"type": "Constant", "learning_rate": 0.1}, ScheduleConfig("constant", 0.1)),
    ],
)
def test_value_schedulers(spec, expected):
    assert schedule(lr_scheduler=spec) == (expected, [])


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"value": 0.1}, ScheduleConfig("poly", 0.1, end_lr=0.0, power=0.9)),
        (0.1, ScheduleConfig("poly", 0.1, end_lr=0.0, power=0.9)),
        ({"value": 0.1, "decay": {"type": "poly"}}, ScheduleConfig("poly", 0.1, end_lr=0.0, power=1.0)),
        (
            {"value": 0.1, "decay": {"type": "poly", "decay_steps": 50, "power": 0.9, "end_lr": 0.001}},
            ScheduleConfig("poly", 0.1, end_lr=0.001, power=0.9, decay_iters=50),
        ),
        (
            {"value": 0.4, "decay": {"type": "piecewise", "boundaries": [5], "values": [0.4, 0.2]}},
            ScheduleConfig("step", 0.4, gamma=0.5, boundaries=(5,)),
        ),
        (
            {"value": [0.4, 0.2], "decay": {"type": "piecewise", "boundaries": [5]}},
            ScheduleConfig("step", 0.4, gamma=0.5, boundaries=(5,)),
        ),
    ],
)
def test_value_learning_rate_blocks(spec, expected):
    assert schedule(learning_rate=spec) == (expected, [])


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "lr_scheduler: missing; e.g. {type: PolynomialDecay"),
        ({"lr_scheduler": {"learning_rate": 0.1}}, "lr_scheduler.type: missing"),
        ({"lr_scheduler": {"type": "PolyDecay"}}, "lr_scheduler.type: expected one of PolynomialDecay, PiecewiseDecay"),
        ({"lr_scheduler": {"type": "Constant"}}, "lr_scheduler.learning_rate: missing"),
        (
            {"lr_scheduler": {"type": "Constant", "learning_rate": 0}},
            "lr_scheduler.learning_rate: expected more than 0",
        ),
        (
            {"lr_scheduler": {"type": "PolynomialDecay", "learning_rate": 1, "cycle": True}},
            "lr_scheduler.cycle: the learning rate falls once per run",
        ),
        (
            {"lr_scheduler": {"type": "PolynomialDecay", "learning_rate": 1, "gamma": 0.1}},
            "lr_scheduler.gamma: the schedule PolynomialDecay has no key 'gamma'",
        ),
        (
            {"lr_scheduler": {"type": "MultiStepDecay", "learning_rate": 1, "milestones": [20, 10]}},
            "lr_scheduler.milestones: expected rising positive steps, got [20, 10]",
        ),
        (
            {"lr_scheduler": {"type": "PiecewiseDecay", "boundaries": [1, 2], "values": [1, 0.1]}},
            "lr_scheduler.values: expected 3 rates for 2 boundaries, got 2",
        ),
        (
            {"lr_scheduler": {"type": "PiecewiseDecay", "boundaries": [1, 2], "values": [1, 0.1, 0.05]}},
            "lr_scheduler.values: each rate must be the one before times one common factor; the factors of "
            "[1, 0.1, 0.05] are [0.1, 0.5]",
        ),
        (
            {"lr_scheduler": {"type": "PiecewiseDecay", "boundaries": [1], "values": [1, 0]}},
            "lr_scheduler.values: expected positive rates",
        ),
        (
            {"lr_scheduler": {"type": "PiecewiseDecay", "boundaries": [1], "values": [1, 0.1], "learning_rate": 2}},
            "lr_scheduler.learning_rate: is 2, but values begins with 1.0",
        ),
        ({"learning_rate": {}}, "learning_rate.value: missing"),
        (
            {"learning_rate": {"value": 1, "decay": {"type": "cosine"}}},
            "learning_rate.decay.type: expected one of poly",
        ),
        (
            {"learning_rate": {"value": 1, "deca": {}}},
            "learning_rate.deca: learning_rate has no key 'deca'; did you mean",
        ),
        (
            {"learning_rate": {"value": 1, "decay": {"type": "poly", "gamma": 1}}},
            "learning_rate.decay.gamma: the poly decay has no key 'gamma'",
        ),
        (
            {"learning_rate": {"value": 1, "decay": {"type": "piecewise", "boundaries": [5], "values": [0.4, 0.2]}}},
            "learning_rate.value: is 1, but decay.values begins with 0.4",
        ),
        (
            {"learning_rate": 0.1, "lr_scheduler": {"type": "Constant", "learning_rate": 0.1}},
            "learning_rate: lr_scheduler says the learning rate already",
        ),
    ],
)
def test_error_schedules(values, sentence):
    _, findings = schedule(**values)
    assert len(findings) == 1, findings
    assert findings[0].startswith(sentence)


def test_error_step_decay_needs_iterations():
    _, findings = schedule(iters=None, lr_scheduler={"type": "StepDecay", "learning_rate": 1, "step_size": 5})
    assert findings == [
        "lr_scheduler.step_size: counts iterations, but the run is given in epochs; use MultiStepDecay "
        "with boundary_unit: epoch"
    ]
