"""The static mode's stepper: the same phases, in the same order and under the same names, as the eager one."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import paddle
from paddle import static

from dygraph.engine.exchange import Exchange
from dygraph.engine.loss_scaling import LossScaler
from dygraph.engine.optimizer import as_float
from dygraph.engine.precision import FULL, Precision
from dygraph.engine.static_mode import static_mode
from legacy.pdseg.program import (
    InferenceProgram,
    LossBuilder,
    NetworkBuilder,
    TrainProgram,
    build_inference_program,
    build_train_program,
    take_weights_out,
)
from legacy.pdseg.python_operator import raise_cause
from shared.config.run_config import OptimizerConfig
from shared.engine.stepper import StepperState, StepResult
from shared.weights.matching import match_strict

logger = logging.getLogger(__name__)

MANY_SHAPES = 8


class StaticPredictor:
    """A network lowered into an inference Program.

    Args:
        build_network: builds the ``nn.Layer``; called once per Program, under its guard.
        weights: every tensor of the network's ``state_dict()`` by structured name.
        place: where the Programs run.
        fast_kernels: whether ``dygraph.kernels`` compute where they are faster.
    """

    def __init__(
        self,
        build_network: NetworkBuilder,
        weights: Mapping[str, np.ndarray],
        place: paddle.CPUPlace,
        fast_kernels: bool = False,
    ) -> None:
        self.build_network = build_network
        self.fast_kernels = fast_kernels
        self.dtype = str(next(iter(weights.values())).dtype)
        self._initial = dict(weights)
        self.place = place
        self.scope = static.Scope()
        weakref.finalize(self, _empty, self.scope)  # Paddle keeps every Scope until the process ends
        # Operators run one after the other, each on all threads: as fast on a CPU, and the one way in which two
        # dropouts draw from the generator in the order of the Program.
        paddle.set_flags({"FLAGS_new_executor_serial_run": True})
        with static_mode():
            self.executor = static.Executor(place)

    @cached_property
    def inference(self) -> InferenceProgram:
        """The inference Program, its weights in the Scope."""
        program = build_inference_program(self.build_network, self.dtype, self.fast_kernels)
        if not self._in_scope(program.names.model.values()):
            self._create(program)
        return program

    def logits(self, images: np.ndarray) -> np.ndarray:
        """``[N, 3, H, W]`` -> main logits ``[N, K, H, W]``, in evaluation mode."""
        return self._forward(images, self.inference.logits)

    def class_ids(self, images: np.ndarray) -> np.ndarray:
        """``[N, 3, H, W]`` -> ``[N, H, W]`` int32 class ids, in evaluation mode."""
        return self._forward(images, self.inference.class_ids)

    def _forward(self, images: np.ndarray, output: paddle.pir.Value) -> np.ndarray:
        feed = {"image": images.astype(self.dtype, copy=False)}
        return self._run(self.inference.main, feed, [output])[0]

    def _run(self, program: static.Program, feed: Mapping | None = None, fetches: Sequence = ()) -> list[np.ndarray]:
        with static_mode(), static.scope_guard(self.scope):
            try:
                return self.executor.run(program, feed=feed, fetch_list=list(fetches))
            except MemoryError:
                self._forget_what_broke()
                raise
            except SystemError as error:
                self._forget_what_broke()
                raise_cause(error)

    def _forget_what_broke(self) -> None:
        """Give back what a run that ended half-way holds; weights and optimiser state stand in the Scope itself."""
        self.executor.close()  # first: its prepared Programs point into what is dropped next
        self.scope.drop_kids()
        self.executor = static.Executor(self.place)

    def _tensor(self, variable: str) -> paddle.base.core.LoDTensor:
        return self.scope.find_var(variable).get_tensor()

    def _in_scope(self, variables: Sequence[str]) -> bool:
        return all(self.scope.find_var(name) is not None for name in variables)

    def _read(self, names: Mapping[str, str]) -> dict[str, np.ndarray]:
        return {key: np.array(self._tensor(variable)) for key, variable in names.items()}

    def _create(self, program: TrainProgram | InferenceProgram) -> None:
        """The Program's variables in the Scope: the weights as they were given, the others as the startup says.

        From then on the Scope alone holds them: a second copy would be a tenth of what a small step takes.
        """
        names = program.names.model
        shapes = take_weights_out(program.startup, names.values())
        expected = {key: shapes[variable] for key, variable in names.items()}
        for key, value in match_strict(expected, self._initial, "the network's weights").items():
            self.scope.var(names[key]).get_tensor().set(np.ascontiguousarray(value), self.place)
        self._initial = {}
        self._run(program.startup)

    def _write(self, names: Mapping[str, str], values: Mapping[str, np.ndarray], source: str) -> None:
        shapes = {key: tuple(self._tensor(variable).shape()) for key, variable in names.items()}
        for key, value in match_strict(shapes, values, source).items():
            tensor = self._tensor(names[key])
            tensor.set(np.ascontiguousarray(value, dtype=np.array(tensor).dtype), self.place)


class StaticStepper(StaticPredictor):
    """A network in training, one run of its training Program at a time.

    Args:
        build_network, weights, place, fast_kernels: as for :class:`StaticPredictor`.
        build_losses: builds the loss modules, under the Program's guard.
        optimizer: the optimiser's settings; the learning rate arrives with each step.
        image_shape: ``[N, 3, H, W]`` of the training batches.
        precision: the types of the forward pass.
        scaler: scales the loss and skips steps that overflow; None does neither.
        exchange: with the other ranks, if there are any.
        build_training: builds the network of training Programs, where that is another one (batch norm synchronised);
            its tensors have the names and shapes of ``build_network``'s.
    """

    def __init__(
        self,
        build_network: NetworkBuilder,
        weights: Mapping[str, np.ndarray],
        place: paddle.CPUPlace,
        build_losses: LossBuilder,
        optimizer: OptimizerConfig,
        image_shape: Sequence[int],
        precision: Precision = FULL,
        scaler: LossScaler | None = None,
        exchange: Exchange | None = None,
        build_training: NetworkBuilder | None = None,
        fast_kernels: bool = False,
    ) -> None:
        super().__init__(build_network, weights, place, fast_kernels)
        self.build_losses = build_losses
        self.build_training = build_training or build_network
        self.exchange = exchange or Exchange()
        self._before_step: dict[str, np.ndarray] = {}
        self.optimizer_config = optimizer
        self.precision = precision
        self.scaler = scaler
        self._programs: dict[tuple[int, ...], TrainProgram] = {}
        self.training = self._program(tuple(image_shape))
        self._create(self.training)

    def _program(self, image_shape: tuple[int, ...]) -> TrainProgram:
        if image_shape not in self._programs:
            if len(self._programs) == MANY_SHAPES:
                logger.warning(
                    "training images come in more than %d sizes, and each costs a Program and its memory: add a crop "
                    "or a resize to the training transforms",
                    MANY_SHAPES,
                )
            self._programs[image_shape] = build_train_program(
                self.build_training,
                self.build_losses,
                self.optimizer_config,
                image_shape,
                self.dtype,
                self.precision,
                self.scaler,
                self.exchange,
                self.fast_kernels,
            )
        return self._programs[image_shape]

    def reseed(self, seed: int) -> None:
        """What the next step draws depends on ``seed`` alone."""
        paddle.seed(seed)

    def train_step(self, images: np.ndarray, labels: np.ndarray, lr: float) -> StepResult:
        """One forward, backward and optimiser step; ``labels`` are ``[N, H, W]`` int64."""
        program = self._program(images.shape)
        self._set_lr(program, lr)
        if self.exchange.world > 1:
            self._before_step = self.statistics()
        feed = {"image": images.astype(self.dtype, copy=False), "label": labels}
        total, *terms = self._run(program.main, feed, program.fetches)
        skipped = self.scaler is not None and bool(terms.pop())
        return StepResult(as_float(total), tuple(as_float(term) for term in terms), skipped)

    def rewind(self) -> None:
        """After a step that raised in an exchange: the statistics are as they were before it."""
        self.load_statistics(self._before_step)

    def statistics(self) -> dict[str, np.ndarray]:
        """What the forward pass moves rather than the optimiser: batch norm's running mean and variance, bases."""
        return self._read(self.training.names.statistics)

    def load_statistics(self, values: Mapping[str, np.ndarray]) -> None:
        """Take over what :meth:`statistics` gave."""
        if values:
            self._write(self.training.names.statistics, values, "the statistics of another rank")

    def _set_lr(self, program: TrainProgram, lr: float) -> None:
        tensor = self._tensor(program.names.learning_rate)
        tensor.set(np.asarray(lr, dtype=np.array(tensor).dtype), self.place)

    def state(self) -> StepperState:
        """Copies of weights and optimiser state."""
        names = self.training.names
        return StepperState(self._read(names.model), self._read(names.optimizer), self._scaler_state())

    def _scaler_state(self) -> dict[str, float] | None:
        if self.scaler is None:
            return None
        return {name: value.item() for name, value in self._read(self.training.names.scaler).items()}

    def load_state(self, state: StepperState) -> None:
        """Take over weights and optimiser state by structured name."""
        self._write(self.training.names.model, state.model, "the checkpoint's model")
        if state.optimizer:
            self._write(self.training.names.optimizer, state.optimizer, "the checkpoint's optimizer")
        if self.scaler is not None:
            restored = {name: np.array([value]) for name, value in self.scaler.restored(state.scaler).items()}
            self._write(self.training.names.scaler, restored, "the checkpoint's loss scale")


def _empty(scope: static.Scope) -> None:
    """Give back the memory of a Scope's variables."""
    scope.erase(scope.local_var_names())
