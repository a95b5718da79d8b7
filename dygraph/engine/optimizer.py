"""The optimiser of a run, the same object in both modes, and its state by structured name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import paddle

from shared.config.run_config import OptimizerConfig
from shared.errors import ConfigError

ACCUMULATORS: Mapping[str, tuple[str, ...]] = {
    "momentum": ("velocity",),
    "adam": ("moment1", "moment2", "beta1_pow_acc", "beta2_pow_acc"),
    "adamw": ("moment1", "moment2", "beta1_pow_acc", "beta2_pow_acc"),
}


def _momentum(config: OptimizerConfig, common: dict) -> paddle.optimizer.Optimizer:
    return paddle.optimizer.Momentum(momentum=config.momentum, use_nesterov=config.use_nesterov, **common)


def _adam_family(kind: type, config: OptimizerConfig, common: dict) -> paddle.optimizer.Optimizer:
    return kind(beta1=config.beta1, beta2=config.beta2, epsilon=config.epsilon, **common)


_BUILDERS: Mapping[str, Callable[[OptimizerConfig, dict], paddle.optimizer.Optimizer]] = {
    "momentum": _momentum,
    "adam": lambda config, common: _adam_family(paddle.optimizer.Adam, config, common),
    "adamw": lambda config, common: _adam_family(paddle.optimizer.AdamW, config, common),
}


def build_optimizer(config: OptimizerConfig, network: paddle.nn.Layer, lr: float) -> paddle.optimizer.Optimizer:
    """The Paddle optimiser over the network's trainable parameters, at learning rate ``lr``.

    Weight decay is L2 (added to the gradient, for weights, biases and norm parameters alike, as the recipes mean it);
    AdamW's is decoupled from the gradient.
    """
    if config.type not in _BUILDERS:
        raise ConfigError(f"optimizer.type: got {config.type!r}, expected one of {', '.join(_BUILDERS)}")
    parameters = [p for p in network.parameters() if not p.stop_gradient]
    common = {"learning_rate": lr, "parameters": parameters, "weight_decay": config.weight_decay}
    return _BUILDERS[config.type](config, common)


def accumulator_keys(config: OptimizerConfig, parameter_names: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Every piece of optimiser state: ``"velocity/<structured name>"`` -> (accumulator, Paddle's parameter name)."""
    return {
        f"{accumulator}/{structured}": (accumulator, name)
        for accumulator in ACCUMULATORS[config.type]
        for structured, name in parameter_names.items()
    }


def trainable_names(network: paddle.nn.Layer) -> dict[str, str]:
    """Structured name -> Paddle's own name of every trainable parameter."""
    return {structured: p.name for structured, p in network.named_parameters() if not p.stop_gradient}


def as_float(array: np.ndarray) -> float:
    """The single value of a 0-d or one-element array."""
    return float(np.asarray(array).reshape(-1)[0])
