"""What one rank does for ``test_ranks.py``: train a small network in both modes, and write down what came of it.

``python -m tests.parity.rank_worker OUT``, started as a rank, writes ``OUT/<case>.<mode>.<rank>.npz``.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import paddle
from paddle import nn

from dygraph.build import build_losses
from dygraph.engine.device import seed_everything
from dygraph.engine.exchange import Exchange
from dygraph.engine.loss_scaling import LossScaler
from dygraph.engine.optimizer import trainable_names
from dygraph.engine.ranks import connect_ranks
from dygraph.engine.stepper import EagerStepper
from dygraph.layers.sync_batch_norm import synchronise_batch_norm
from legacy.pdseg.session import weights_of
from legacy.pdseg.stepper import StaticStepper
from shared.config.run_config import Component, LossTerm, OptimizerConfig
from tests.parity.ladder import default_dtype

CLASSES = 4
BATCH = 2  # of a rank
SIZE = 9
STEPS = 5
LR = 0.1
SMALL_BUCKET = 600  # bytes: several buckets, and one gradient larger than a bucket
OPTIMIZER = OptimizerConfig("momentum", momentum=0.9, weight_decay=1e-3)
TERMS = (LossTerm(Component("CrossEntropyLoss")), LossTerm(Component("DiceLoss"), 0.0))

#: name: (dtype, batch norm's statistics in training)
CASES = {
    "fixed64": ("float64", "fixed"),
    "sync64": ("float64", "sync"),
    "sync32": ("float32", "sync"),
    "own32": ("float32", "own"),
}


class Small(nn.Layer):
    """Two convolutions with batch norm (the second one channels-last), and a classifier."""

    def __init__(self, norm: str) -> None:
        super().__init__()
        fixed = True if norm == "fixed" else None
        self.conv1 = nn.Conv2D(3, 6, 3, padding=1, bias_attr=False)
        self.norm1 = nn.BatchNorm2D(6, use_global_stats=fixed)
        self.block = nn.Sequential(
            nn.Conv2D(6, 8, 3, padding=1, bias_attr=False, data_format="NHWC"),
            nn.BatchNorm2D(8, use_global_stats=fixed, data_format="NHWC"),
        )
        self.cls = nn.Conv2D(8, CLASSES, 1, data_format="NHWC")

    def forward(self, x):
        x = nn.functional.relu(self.norm1(self.conv1(x))).transpose([0, 2, 3, 1])
        logits = self.cls(nn.functional.relu(self.block(x))).transpose([0, 3, 1, 2])
        return [logits, logits * 0.5] if self.training else [logits]


def global_batch(step: int, images: int, dtype: str):
    """Images of different brightness, so that ranks' statistics differ, and labels without ignored pixels."""
    rng = np.random.default_rng(step)
    level = np.arange(images).reshape(-1, 1, 1, 1)
    noise = rng.standard_normal((images, 3, SIZE, SIZE)) * (1 + level)
    return (noise + level).astype(dtype), rng.integers(0, CLASSES, (images, SIZE, SIZE))


def build(norm: str, synchronised: bool) -> nn.Layer:
    """The network as one case has it."""
    network = Small(norm)
    return synchronise_batch_norm(network) if synchronised else network


def first_network(norm: str, synchronised: bool = False) -> nn.Layer:
    """As :func:`build`, with the weights every rank and the one process begin with."""
    seed_everything(3, True)
    return build(norm, synchronised)


def eager_case(norm: str, dtype: str, rank: int, world: int, batch: int, exchange: Exchange) -> dict[str, np.ndarray]:
    """Gradients of the first step as the optimiser sees them, losses, and the state after ``STEPS``."""
    with default_dtype(dtype):
        network = first_network(norm, norm == "sync" and exchange.world > 1)
        stepper = EagerStepper(network, build_losses(TERMS), OPTIMIZER, exchange=exchange)
        named = dict(network.named_parameters())
        gradients: dict[str, np.ndarray] = {}
        real_step = stepper.optimizer.step

        def step() -> None:
            if not gradients:
                for name in trainable_names(network):
                    if named[name].grad is not None:
                        gradients[name] = named[name].grad.numpy()
            real_step()

        stepper.optimizer.step = step
        losses = [result(stepper, n, dtype, rank, world, batch) for n in range(STEPS)]
        return collected(gradients, losses, stepper)


def static_case(norm: str, dtype: str, rank: int, world: int, exchange: Exchange) -> dict[str, np.ndarray]:
    """As :func:`eager_case`, in static mode."""
    with default_dtype(dtype):
        stepper = StaticStepper(
            partial(build, norm, False),
            weights_of(first_network(norm)),
            paddle.CPUPlace(),
            partial(build_losses, TERMS),
            OPTIMIZER,
            (BATCH, 3, SIZE, SIZE),
            exchange=exchange,
            build_training=partial(build, norm, norm == "sync"),
        )
        before = stepper.state()
        images, labels = shard(0, dtype, rank, world, BATCH)
        stepper._set_lr(stepper.training, 0.0)
        wanted = stepper.training.gradients
        values = stepper._run(stepper.training.main, {"image": images, "label": labels}, list(wanted.values()))
        gradients = dict(zip(wanted, values))
        stepper.load_state(before)
        losses = [result(stepper, n, dtype, rank, world, BATCH) for n in range(STEPS)]
        return collected(gradients, losses, stepper)


def shard(step: int, dtype: str, rank: int, world: int, batch: int):
    """This rank's slice of a global batch."""
    images, labels = global_batch(step, world * BATCH, dtype)
    return images[rank * batch : (rank + 1) * batch], labels[rank * batch : (rank + 1) * batch]


def result(stepper, step: int, dtype: str, rank: int, world: int, batch: int) -> list[float]:
    """Loss and terms of one step."""
    found = stepper.train_step(*shard(step, dtype, rank, world, batch), LR)
    return [found.loss, *found.terms]


def overflow_case(mode: str, rank: int, world: int, exchange: Exchange) -> dict[str, np.ndarray]:
    """Three scaled steps; in the second one the last rank's images hold an infinity."""
    scaler = LossScaler(8.0, combine=exchange.any)
    if mode == "eager":
        stepper = EagerStepper(first_network("fixed"), build_losses(TERMS), OPTIMIZER, scaler=scaler, exchange=exchange)
    else:
        network = weights_of(first_network("fixed"))
        build_small = partial(build, "fixed", False)
        losses, shape = partial(build_losses, TERMS), (BATCH, 3, SIZE, SIZE)
        stepper = StaticStepper(
            build_small, network, paddle.CPUPlace(), losses, OPTIMIZER, shape, scaler=scaler, exchange=exchange
        )
    skipped, scale = [], []
    for number in range(3):
        images, labels = shard(number, "float32", rank, world, BATCH)
        if number == 1 and rank == world - 1:
            images[0, 0, 0, 0] = np.inf
        skipped.append(stepper.train_step(images, labels, LR).skipped)
        scale.append(stepper.state().scaler["scale"])
    weights = {f"weights:{name}": value for name, value in stepper.state().model.items()}
    return {"skipped": np.array(skipped), "scale": np.array(scale), **weights}


def collected(gradients, losses, stepper) -> dict[str, np.ndarray]:
    """Everything a case gives, flat."""
    state = stepper.state()
    return {
        **{f"gradient:{name}": value for name, value in gradients.items()},
        **{f"model:{name}": value for name, value in state.model.items()},
        **{f"optimizer:{name}": value for name, value in state.optimizer.items()},
        "losses": np.array(losses, np.float64),
    }


def main(out: Path) -> None:
    """Every case in both modes, and the small exchanges."""
    ranks = connect_ranks()
    exchange = Exchange(ranks.world, SMALL_BUCKET)
    for case, (dtype, norm) in CASES.items():
        found = {
            "eager": eager_case(norm, dtype, ranks.rank, ranks.world, BATCH, exchange),
            "static": static_case(norm, dtype, ranks.rank, ranks.world, exchange),
        }
        for mode, arrays in found.items():
            np.savez(out / f"{case}.{mode}.{ranks.rank}.npz", **arrays)
    for mode in ("eager", "static"):
        np.savez(out / f"overflow.{mode}.{ranks.rank}.npz", **overflow_case(mode, ranks.rank, ranks.world, exchange))
    flags = paddle.to_tensor([float(ranks.rank), float(-ranks.rank), 7.0])
    told = ranks.broadcast({"who": ranks.rank, "array": np.arange(3) * (ranks.rank + 1)})
    np.savez(
        out / f"exchanges.{ranks.rank}.npz",
        maximum=exchange.maximum(flags).numpy(),
        mean=exchange.mean(flags).numpy(),
        sum=ranks.sum(np.array([ranks.rank, 10])),
        gathered=np.array([one["r"] for one in ranks.gather({"r": ranks.rank})]),
        broadcast=told["array"],
    )
    ranks.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
