"""PaddleSeg as its users call it: its data set with its transforms, its networks, its prediction."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from loop import Round, serve

NETWORKS = {
    "FCN-HRNet-W18": lambda models, backbones: models.FCN(19, backbones.HRNet_W18()),
    "DeepLabV3P-ResNet50": lambda models, backbones: models.DeepLabV3P(
        19, backbones.ResNet50_vd(output_stride=8, multi_grid=(1, 2, 4)), aspp_ratios=(1, 12, 24, 36)
    ),
}


def _dataset(root: str, train_list: str, steps: Sequence[dict[str, Any]]) -> Any:
    import paddleseg.transforms as T  # noqa: N812
    from paddleseg.datasets import Dataset

    made = [getattr(T, step["type"])(**{k: v for k, v in step.items() if k != "type"}) for step in steps]
    return Dataset("train", root, made, 19, train_path=train_list)


def data(root: str, train_list: str, steps: list[dict[str, Any]], batch: int, batches: int, workers: int) -> Round:
    """Batches of its training pipeline; without workers on one core, and its transforms one by one."""
    import cv2
    import numpy as np
    from paddle.io import DataLoader, Subset

    cv2.setNumThreads(1)
    dataset = _dataset(root, train_list, steps)
    order = [n % len(dataset) for n in range(batch * (batches + 2 * workers))]
    loader = DataLoader(Subset(dataset, order), batch_size=batch, num_workers=workers, return_list=True)

    def inline() -> dict[str, Any]:
        stages: dict[str, float] = {}
        with _timed_steps(dataset.transforms, stages):
            start = time.perf_counter()
            for first in range(0, len(order), batch):
                samples = [dataset[n] for n in order[first : first + batch]]
                np.stack([sample["img"] for sample in samples])
                np.stack([sample["label"] for sample in samples]).astype(np.int64)
            seconds = time.perf_counter() - start
        stages["decoding and all else"] = seconds - sum(stages.values())
        return {"seconds": seconds, "images": len(order), "stages": stages}

    def by_workers() -> dict[str, Any]:
        iterator = iter(loader)
        for _ in range(2 * workers):
            next(iterator)
        start = time.perf_counter()
        for _ in range(batches):
            next(iterator)
        seconds = time.perf_counter() - start
        for _ in iterator:
            pass
        return {"seconds": seconds, "images": batch * batches}

    return by_workers if workers else inline


@contextlib.contextmanager
def _timed_steps(compose: Any, stages: dict[str, float]) -> Iterator[None]:
    """Adds up each transform's seconds under its name."""

    def timed(step: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def call(sample: Any) -> Any:
            start = time.perf_counter()
            result = step(sample)
            name = type(step).__name__
            stages[name] = stages.get(name, 0.0) + time.perf_counter() - start
            return result

        return call

    steps = compose.transforms
    compose.transforms = [timed(step) for step in steps]
    try:
        yield
    finally:
        compose.transforms = steps


def _network(name: str) -> Any:
    import paddle
    from paddleseg import models
    from paddleseg.models import backbones

    paddle.seed(0)
    return NETWORKS[name](models, backbones)


def train(network: str, shape: list[int]) -> Round:
    """A training step: forward, cross entropy, backward, momentum, and the loss on the host."""
    import numpy as np
    import paddle
    from paddleseg.models import CrossEntropyLoss

    model, loss_of = _network(network), CrossEntropyLoss()
    optimizer = paddle.optimizer.Momentum(0.01, 0.9, model.parameters(), weight_decay=4e-5)
    rng = np.random.default_rng(0)
    images = rng.standard_normal(shape, dtype=np.float32)
    labels = rng.integers(0, 19, (shape[0], *shape[2:]))
    model.train()

    def step() -> None:
        loss = loss_of(model(paddle.to_tensor(images))[0], paddle.to_tensor(labels))
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        float(loss)

    return step


def predict(network: str, shape: list[int]) -> Round:
    """What its ``predict`` does to one decoded and normalised image: ``infer.inference``, ids on the host."""
    import numpy as np
    import paddle
    from paddleseg.core import infer

    model = _network(network)
    model.eval()
    image = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    height, width = shape[2:]

    def run() -> None:
        with paddle.no_grad():
            found = infer.inference(model, paddle.to_tensor(image), trans_info=[("resize", (height, width))])
            found = found[0] if isinstance(found, (list, tuple)) else found
            found.numpy()

    return run


serve({"data": data, "train": train, "predict": predict})
