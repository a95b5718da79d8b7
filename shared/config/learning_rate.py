"""The learning-rate blocks of an eager config: ``lr_scheduler`` (2.1 and later) and ``learning_rate`` (2.0).

Defaults as PaddleSeg 2.x has them: an ``lr_scheduler`` polynomial ends at 1e-4 with power 1; a ``learning_rate``
block ends at 0 with power 1, and with power 0.9 where it has no ``decay``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from shared.config.run_config import ScheduleConfig
from shared.config.section import Findings, Section

_SCHEDULES = (
    "PolynomialDecay",
    "PiecewiseDecay",
    "StepDecay",
    "MultiStepDecay",
    "CosineAnnealingDecay",
    "Constant",
)


def read_schedule(values: Mapping[str, Any], iters: int | None, findings: Findings) -> ScheduleConfig:
    """``lr_scheduler`` (2.1 and later) or ``learning_rate`` (2.0); ``iters`` is the run's length where known."""
    if "lr_scheduler" in values and "learning_rate" in values:
        findings.append("learning_rate: lr_scheduler says the learning rate already; keep one of the two")
    if "lr_scheduler" in values:
        return _read_scheduler(values["lr_scheduler"], iters, findings)
    if "learning_rate" in values:
        return _read_learning_rate(values["learning_rate"], findings)
    findings.append("lr_scheduler: missing; e.g. {type: PolynomialDecay, learning_rate: 0.01, end_lr: 0, power: 0.9}")
    return ScheduleConfig()


def _read_scheduler(spec: Any, iters: int | None, findings: Findings) -> ScheduleConfig:
    section = Section(spec, "lr_scheduler", findings)
    kind = section.take("type", "str", one_of=_SCHEDULES)
    if kind is None:
        return ScheduleConfig()
    warmup = {
        "warmup_iters": section.take("warmup_iters", "int", 0, at_least=0),
        "warmup_start_lr": section.take("warmup_start_lr", "float", 0.0, at_least=0),
        "warmup_shifts": section.take("warmup_shifts", "bool", True),
    }
    if kind == "PiecewiseDecay":
        schedule = _piecewise(section, warmup)
    else:
        rate = section.take("learning_rate", "float", above=0)
        schedule = _decay(kind, section, rate or 0.01, iters, warmup)
    section.finish(f"the schedule {kind}")
    return schedule


def _decay(kind: str, section: Section, rate: float, iters: int | None, warmup: dict[str, Any]) -> ScheduleConfig:
    if kind == "PolynomialDecay":
        section.take_if_off("cycle", "the learning rate falls once per run; remove the key")
        return ScheduleConfig(
            "poly",
            rate,
            end_lr=section.take("end_lr", "float", 0.0001, at_least=0),
            power=section.take("power", "float", 1.0, above=0),
            decay_iters=section.take("decay_steps", "int | None", None, at_least=1),
            **warmup,
        )
    if kind == "CosineAnnealingDecay":
        return ScheduleConfig(
            "cosine",
            rate,
            end_lr=section.take("eta_min", "float", 0.0, at_least=0),
            decay_iters=section.take("T_max", "int | None", None, at_least=1),
            step_unit=section.take("step_unit", "str", "iter", one_of=("iter", "epoch")),
            **warmup,
        )
    if kind == "Constant":
        return ScheduleConfig("constant", rate, **warmup)
    gamma = section.take("gamma", "float", 0.1, above=0)
    if kind == "StepDecay":
        return ScheduleConfig("step", rate, gamma=gamma, boundaries=_every(section, iters), **warmup)
    milestones = section.take("milestones", "Sequence[int]") or []
    unit = section.take("boundary_unit", "str", "iter", one_of=("iter", "epoch"))
    return ScheduleConfig(
        "step", rate, gamma=gamma, boundaries=_rising(section, "milestones", milestones), boundary_unit=unit, **warmup
    )


def _every(section: Section, iters: int | None) -> tuple[int, ...]:
    step = section.take("step_size", "int", at_least=1)
    if iters is None:
        section.problem(
            "step_size",
            "counts iterations, but the run is given in epochs; use MultiStepDecay with boundary_unit: epoch",
        )
    return tuple(range(step, iters + 1, step)) if step and iters else ()


def _rising(section: Section, name: str, boundaries: Any) -> tuple[int, ...]:
    values = tuple(boundaries)
    if any(b <= 0 for b in values) or any(a >= b for a, b in zip(values, values[1:])):
        section.problem(name, f"expected rising positive steps, got {list(values)}")
        return ()
    return values


def _piecewise(section: Section, warmup: dict[str, Any]) -> ScheduleConfig:
    """Boundaries and the rates between them; the rates must fall by one factor, which is what ``step`` can do."""
    boundaries = _rising(section, "boundaries", section.take("boundaries", "Sequence[int]") or [])
    rates = section.take("values", "Sequence[float]") or []
    unit = section.take("boundary_unit", "str", "iter", one_of=("iter", "epoch"))
    written = section.take("learning_rate", "float | None", None, above=0)
    if not rates:
        return ScheduleConfig("step", **warmup)
    rate, gamma = float(rates[0]), _common_factor(section, "values", boundaries, rates)
    if written is not None and written != rate:
        section.problem("learning_rate", f"is {written}, but values begins with {rate}; remove learning_rate")
    return ScheduleConfig("step", rate, gamma=gamma, boundaries=boundaries, boundary_unit=unit, **warmup)


def _common_factor(section: Section, name: str, boundaries: tuple[int, ...], rates: Any) -> float:
    """``rates[i + 1] / rates[i]``, which has to be the same for every i."""
    if len(rates) != len(boundaries) + 1:
        section.problem(
            name, f"expected {len(boundaries) + 1} rates for {len(boundaries)} boundaries, got {len(rates)}"
        )
        return 0.1
    if any(r <= 0 for r in rates):
        section.problem(name, f"expected positive rates, got {list(rates)}")
        return 0.1
    factors = [b / a for a, b in zip(rates, rates[1:])]
    if any(not math.isclose(f, factors[0], rel_tol=1e-6) for f in factors):
        section.problem(
            name,
            f"each rate must be the one before times one common factor; the factors of "
            f"{list(rates)} are {[round(f, 6) for f in factors]}",
        )
    return float(f"{factors[0]:.12g}") if factors else 0.1  # 0.01 / 0.1 is 0.09999999999999999: 0.1 is meant


def _read_learning_rate(spec: Any, findings: Findings) -> ScheduleConfig:
    """PaddleSeg 2.0: ``value`` and ``decay``; a bare number means the default polynomial (power 0.9, end 0)."""
    spec = {"value": spec} if isinstance(spec, (int, float)) and not isinstance(spec, bool) else spec
    section = Section(spec, "learning_rate", findings)
    written = section.take("decay", "Mapping | None", None)
    if written is None:
        rate = section.take("value", "float", above=0)
        section.finish("learning_rate")
        return ScheduleConfig("poly", rate or 0.01)
    decay = Section(written, "learning_rate.decay", findings)
    kind = decay.take("type", "str", one_of=("poly", "piecewise"))
    if kind == "piecewise":
        schedule = _old_piecewise(section, decay)
    else:
        rate = section.take("value", "float", above=0)
        decay.take_if_off("cycle", "the learning rate falls once per run; remove the key")
        schedule = ScheduleConfig(
            "poly",
            rate or 0.01,
            end_lr=decay.take("end_lr", "float", 0.0, at_least=0),
            power=decay.take("power", "float", 1.0, above=0),
            decay_iters=decay.take("decay_steps", "int | None", None, at_least=1),
        )
    decay.finish(f"the {kind} decay")
    section.finish("learning_rate")
    return schedule


def _old_piecewise(section: Section, decay: Section) -> ScheduleConfig:
    boundaries = _rising(decay, "boundaries", decay.take("boundaries", "Sequence[int]") or [])
    value = section.take("value", "float | Sequence[float] | None", None)
    if isinstance(value, (list, tuple)):
        rates, owner, begins = value, section, None
        name = "value"
    else:
        rates, owner, begins = decay.take("values", "Sequence[float]") or [], decay, value
        name = "values"
    if not rates:
        return ScheduleConfig("step")
    if begins is not None and begins != rates[0]:
        section.problem("value", f"is {begins}, but decay.values begins with {rates[0]}; make them agree")
    return ScheduleConfig(
        "step", float(rates[0]), gamma=_common_factor(owner, name, boundaries, rates), boundaries=boundaries
    )
