"""The ``optimizer`` and ``loss`` blocks of an eager config.

Defaults as PaddleSeg 2.x has them: momentum 0.9 (2.0 to 2.5; 2.8 takes a missing one for 0), weight decay 0, but 0.01
for AdamW.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.config.components import as_component, check_component
from shared.config.run_config import Component, LossTerm, OptimizerConfig
from shared.config.section import Findings, Section
from shared.registry import LOSSES, Registry

_OPTIMIZERS = ("sgd", "momentum", "adam", "adamw")


def read_optimizer(spec: Any, findings: Findings) -> OptimizerConfig:
    """The ``optimizer`` block; ``sgd`` is momentum, as it is in PaddleSeg's recipes."""
    section = Section(spec, "optimizer", findings)
    kind = _optimizer_type(section)
    defaults = OptimizerConfig()
    section.take_if_off("grad_clip", "gradients are not clipped here; remove the key")
    section.take_if_off("grad_clip_cfg", "gradients are not clipped here; remove the key")
    section.take_if_off("custom_cfg", "all parameters share one learning rate here; remove the key")
    section.take_if_off("lazy_mode", "lazy updates are for sparse gradients, which no network here has; remove the key")
    decay = section.take("weight_decay", "float | None", 0.01 if kind == "adamw" else 0.0, at_least=0)
    decay = float(decay or 0.0)
    if kind in ("sgd", "momentum"):
        momentum = section.take("momentum", "float", defaults.momentum, at_least=0)
        name = "nesterov" if "nesterov" in section and "use_nesterov" not in section else "use_nesterov"
        nesterov = section.take(name, "bool", False)
        section.finish(f"the optimizer {kind}")
        return OptimizerConfig("momentum", momentum=momentum, use_nesterov=nesterov, weight_decay=decay)
    beta1 = section.take("beta1", "float", defaults.beta1, at_least=0)
    beta2 = section.take("beta2", "float", defaults.beta2, at_least=0)
    epsilon = section.take("epsilon", "float", defaults.epsilon, above=0)
    section.finish(f"the optimizer {kind}")
    return OptimizerConfig(kind, beta1=beta1, beta2=beta2, epsilon=epsilon, weight_decay=decay)


def _optimizer_type(section: Section) -> str:
    """In lower case: files say ``SGD`` and ``AdamW`` as well as ``sgd`` and ``adamw``."""
    written = section.take("type", "str")
    if written is None or written.lower() in _OPTIMIZERS:
        return str(written or "sgd").lower()
    section.problem("type", f"expected one of {', '.join(_OPTIMIZERS)}, got {written!r}")
    return "sgd"


def read_losses(spec: Any, ignore_index: int, findings: Findings) -> tuple[LossTerm, ...]:
    """The ``loss`` block: ``types`` and ``coef`` of equal length, or one type repeated for every coefficient."""
    section = Section(spec, "loss", findings)
    types = section.take("types", "Sequence")
    coef = section.take("coef", "Sequence[float]")
    section.finish("loss")
    if types is None or coef is None:
        return ()
    problems = [p for i, t in enumerate(types) for p in check_component(LOSSES, t, f"loss.types.{i}")]
    findings.extend(problems)
    if not types or not coef:
        section.problem("types" if not types else "coef", "expected at least one entry, got an empty list")
        return ()
    if len(types) not in (1, len(coef)):
        section.problem("coef", f"expected one number for each of the {len(types)} types, got {len(coef)}")
        return ()
    if problems:
        return ()
    types = list(types) * len(coef) if len(types) == 1 else types
    return tuple(LossTerm(_with_ignore_index(as_component(t), ignore_index), float(c)) for t, c in zip(types, coef))


def reads_edges(losses: Sequence[LossTerm]) -> bool:
    """Whether a loss reads the edges of the labels."""
    return any(term.loss.args.get("edge_label") for term in losses)


def _with_ignore_index(loss: Component, ignore_index: int, registry: Registry = LOSSES) -> Component:
    """Fill in the data set's ignore_index where the constructor takes one and the config is silent."""
    arguments = {k: _nested_ignore_index(v, ignore_index) for k, v in loss.args.items()}
    if "ignore_index" in registry.parameters(loss.type):
        arguments.setdefault("ignore_index", ignore_index)
    return Component(loss.type, arguments)


def _nested_ignore_index(value: Any, ignore_index: int) -> Any:
    if isinstance(value, list):
        return [_nested_ignore_index(v, ignore_index) for v in value]
    return _with_ignore_index(value, ignore_index) if isinstance(value, Component) else value
