"""The eager mode's stepper: the same phases, in the same order and under the same names, as the static one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import paddle

from dygraph.build import compute_losses
from dygraph.engine.exchange import Exchange
from dygraph.engine.loss_scaling import LossScaler
from dygraph.engine.optimizer import accumulator_keys, as_float, build_optimizer, trainable_names
from dygraph.engine.precision import FULL, Precision, forward
from dygraph.kernels.choice import fast_kernels
from shared.config.run_config import OptimizerConfig
from shared.engine.stepper import StepperState, StepResult
from shared.weights.matching import match_strict


class EagerPredictor:
    """A network looked through in evaluation mode.

    Args:
        network: an ``nn.Layer`` whose forward gives a list of logits ``[N, K, H, W]``, the main ones first.
        fast_kernels: whether ``dygraph.kernels`` compute where they are faster.
    """

    def __init__(self, network: paddle.nn.Layer, fast_kernels: bool = False) -> None:
        self.network = network
        self.fast_kernels = fast_kernels
        self.dtype = str(np.dtype(network.parameters()[0].numpy().dtype))

    def _main_logits(self, images: np.ndarray) -> paddle.Tensor:
        self.network.eval()
        with paddle.no_grad(), fast_kernels(self.fast_kernels):
            return self.network(paddle.to_tensor(images.astype(self.dtype, copy=False)))[0]

    def logits(self, images: np.ndarray) -> np.ndarray:
        """``[N, 3, H, W]`` -> main logits ``[N, K, H, W]``, in evaluation mode."""
        return self._main_logits(images).numpy()

    def class_ids(self, images: np.ndarray) -> np.ndarray:
        """``[N, 3, H, W]`` -> ``[N, H, W]`` int32 class ids, in evaluation mode."""
        return paddle.argmax(self._main_logits(images), axis=1, dtype="int32").numpy()


class EagerStepper(EagerPredictor):
    """A network in training, one eager step at a time.

    Args:
        network, fast_kernels: as for :class:`EagerPredictor`.
        losses: modules from ``dygraph.build.build_losses``.
        optimizer: the optimiser's settings; the learning rate arrives with each step.
        precision: the types of the forward pass.
        scaler: scales the loss and skips steps that overflow; None does neither.
        exchange: with the other ranks, if there are any.
    """

    def __init__(
        self,
        network: paddle.nn.Layer,
        losses: Sequence[paddle.nn.Layer],
        optimizer: OptimizerConfig,
        precision: Precision = FULL,
        scaler: LossScaler | None = None,
        exchange: Exchange | None = None,
        fast_kernels: bool = False,
    ) -> None:
        super().__init__(network, fast_kernels)
        self.losses = losses
        self.exchange = exchange or Exchange()
        self.optimizer_config = optimizer
        self.optimizer = build_optimizer(optimizer, network, lr=0.0)
        self.precision = precision
        self.scaler = scaler
        self._scaling = None if scaler is None else scaler.variables(self.dtype)
        self._before_step: dict[str, paddle.Tensor] = {}

    def reseed(self, seed: int) -> None:
        """What the next step draws depends on ``seed`` alone."""
        paddle.seed(seed)

    def train_step(self, images: np.ndarray, labels: np.ndarray, lr: float) -> StepResult:
        """One forward, backward and optimiser step; ``labels`` are ``[N, H, W]`` int64."""
        self.network.train()
        self.optimizer.set_lr(lr)
        if self.exchange.world > 1:
            self._before_step = {name: buffer.clone() for name, buffer in self._statistics().items()}
        with fast_kernels(self.fast_kernels):
            logits = forward(self.network, paddle.to_tensor(images.astype(self.dtype, copy=False)), self.precision)
            terms = compute_losses(self.losses, logits, paddle.to_tensor(labels))
        total = sum(terms[1:], terms[0])
        scaled = total if self.scaler is None else self.scaler.scale(total, self._scaling)
        scaled.backward()
        total, *terms = self._exchanged(total, terms)
        skipped = self._apply()
        self.optimizer.clear_grad()
        return StepResult(as_float(total.numpy()), tuple(as_float(term.numpy()) for term in terms), skipped)

    def _apply(self) -> bool:
        """Unscale and check, the optimiser's step or none, then the new scale; whether the step was skipped."""
        if self.scaler is None:
            self.optimizer.step()
            return False
        pairs, overflow = self.scaler.unscale(self._gradients(), self._scaling)
        skipped = bool(overflow)
        if not skipped:
            self.optimizer.step()
        self.scaler.update(pairs, overflow, self._scaling)
        return skipped

    def _gradients(self) -> list[tuple[paddle.Tensor, paddle.Tensor]]:
        """Every trainable parameter that the losses reached, with its gradient."""
        return [(p, p.grad) for p in self.optimizer._parameter_list if p.grad is not None]

    def _exchanged(self, total: paddle.Tensor, terms: Sequence[paddle.Tensor]) -> Sequence[paddle.Tensor]:
        """The losses averaged over the ranks, and the gradients, in place."""
        if self.exchange.world == 1:
            return [total, *terms]
        with paddle.no_grad():
            gradients = [p.grad for p in self.network.parameters() if not p.stop_gradient and p.grad is not None]
            for gradient, averaged in zip(gradients, self.exchange.average(gradients)):
                paddle.assign(averaged, gradient)
            return list(self.exchange.mean(paddle.stack([total, *terms])))

    def rewind(self) -> None:
        """After a step that raised in an exchange: statistics and gradients are as they were before it."""
        self.optimizer.clear_grad()
        statistics = self._statistics()
        for name, value in self._before_step.items():
            statistics[name].set_value(value)

    def _statistics(self) -> dict[str, paddle.Tensor]:
        trained = set(trainable_names(self.network))
        return {name: value for name, value in self.network.state_dict().items() if name not in trained}

    def statistics(self) -> dict[str, np.ndarray]:
        """What the forward pass moves rather than the optimiser: batch norm's running mean and variance, bases."""
        return {name: value.numpy() for name, value in self._statistics().items()}

    def load_statistics(self, values: Mapping[str, np.ndarray]) -> None:
        """Take over what :meth:`statistics` gave."""
        own = self._statistics()
        for name, value in values.items():
            own[name].set_value(value)

    def state(self) -> StepperState:
        """Copies of weights and optimiser state; before the first step there is no optimiser state."""
        model = {name: value.numpy() for name, value in self.network.state_dict().items()}
        by_variable = self.optimizer.state_dict()
        self._check_complete(by_variable)
        optimizer = {
            key: by_variable[variable].numpy()
            for key, variable in self._optimizer_variables().items()
            if variable in by_variable
        }
        return StepperState(model, optimizer, self._scaler_state())

    def _scaler_state(self) -> dict[str, float] | None:
        if self._scaling is None:
            return None
        return {name: variable.item() for name, variable in self._scaling._asdict().items()}

    def _check_complete(self, by_variable: dict) -> None:
        """Before the first step there is no state; after it a missing variable would be lost without a word."""
        missing = [v for v in self._optimizer_variables().values() if v not in by_variable]
        if missing and any(isinstance(value, paddle.Tensor) for value in by_variable.values()):
            raise RuntimeError(f"Paddle names the optimiser's state otherwise: {missing[0]} is not in its state_dict()")

    def load_state(self, state: StepperState) -> None:
        """Take over weights and optimiser state by structured name."""
        set_weights(self.network, state.model, "the checkpoint's model")
        if state.optimizer:
            variables = self._optimizer_variables()
            shapes = self._optimizer_shapes()
            matched = match_strict(shapes, state.optimizer, "the checkpoint's optimizer")
            self.optimizer.set_state_dict({variables[key]: paddle.to_tensor(value) for key, value in matched.items()})
        if self.scaler is not None:
            for name, value in self.scaler.restored(state.scaler).items():
                variable = getattr(self._scaling, name)
                variable.set_value(paddle.full([1], value, variable.dtype))

    def _keys(self) -> dict[str, tuple[str, str]]:
        return accumulator_keys(self.optimizer_config, trainable_names(self.network))

    def _optimizer_variables(self) -> dict[str, str]:
        return {key: f"{name}_{accumulator}_0" for key, (accumulator, name) in self._keys().items()}

    def _optimizer_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = {p.name: tuple(p.shape) for p in self.network.parameters()}
        return {
            key: (1,) if accumulator.endswith("_pow_acc") else shapes[name]
            for key, (accumulator, name) in self._keys().items()
        }


def set_weights(network: paddle.nn.Layer, weights: dict[str, np.ndarray], source: str) -> None:
    """Load every tensor of ``network.state_dict()`` strictly from ``weights``."""
    own = network.state_dict()
    matched = match_strict({name: tuple(value.shape) for name, value in own.items()}, weights, source)
    for name, value in matched.items():
        own[name].set_value(value.astype(own[name].numpy().dtype, copy=False))
