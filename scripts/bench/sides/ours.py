"""This toolkit, through the classes its commands use."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from scripts.bench.sides.loop import Round, now_mib, serve
from shared import runtime

NETWORKS = {
    "FCN-HRNet-W18": "configs/fcn/fcn_hrnetw18_cityscapes_1024x512_80k.yml",
    "DeepLabV3P-ResNet50": "configs/deeplabv3p/deeplabv3p_resnet50_os8_cityscapes_1024x512_80k.yml",
    "BiSeNetV2": "configs/bisenet/bisenet_cityscapes_1024x1024_160k.yml",
}
ROOT = Path(__file__).resolve().parents[3]


def _source(root: str, train_list: str, steps: list[dict[str, Any]]) -> Any:
    from shared.config.run_config import Component
    from shared.datasets.dataset import Dataset
    from shared.reading.source import SampleSource
    from shared.transforms import build_transforms

    dataset = Dataset(root, num_classes=19, mode="train", train_path=train_list)
    return SampleSource(dataset, build_transforms([Component.from_dict(step) for step in steps], True), seed=0)


def data(
    root: str,
    train_list: str,
    steps: list[dict[str, Any]],
    batch: int,
    batches: int,
    workers: int,
    cache: str = "off",
    cache_dir: str | None = None,
) -> Round:
    """Batches of the training pipeline; without workers on one core."""
    import cv2

    from shared.config.run_config import ReaderConfig
    from shared.reading.cache import DecodedCache
    from shared.reading.cache_folder import open_folder
    from shared.reading.reader import open_reader

    cv2.setNumThreads(1)
    source = _source(root, train_list, steps)
    if cache != "off":
        source.cache = DecodedCache(open_folder(ReaderConfig(cache=cache, cache_dir=cache_dir)))
        for index in range(len(source)):
            source.get(0, index)
    ahead = 2 * workers
    epochs = iter(range(10**9))

    def read() -> dict[str, Any]:
        pairs = [(next(epochs), n % len(source)) for n in range(batch * (batches + ahead))]
        asked = [pairs[first : first + batch] for first in range(0, len(pairs), batch)]
        kind = "process" if workers else "inline"
        with open_reader(source, asked, kind=kind, workers=workers) as reader:
            for _ in range(ahead):
                next(reader)
            start = time.perf_counter()
            for _ in range(batches):
                next(reader)
            seconds = time.perf_counter() - start
        return {"seconds": seconds, "images": batch * batches}

    return read


def stages(root: str, train_list: str, steps: list[dict[str, Any]], images: int) -> Round:
    """The same on one core, timed stage by stage. What is put off is paid by the stage that needs it."""
    import cv2
    import numpy as np

    from shared.datasets import reading
    from shared.reading.collate import collate

    cv2.setNumThreads(1)
    source = _source(root, train_list, steps)
    numbers = iter(range(10**9))

    def run() -> dict[str, Any]:
        spent: dict[str, float] = {}

        def timed(name: str, work: Any, *arguments: Any) -> Any:
            start = time.perf_counter()
            result = work(*arguments)
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - start
            return result

        start = time.perf_counter()
        for _ in range(images):
            number = next(numbers)
            record = source.dataset.records[number % len(source)]
            image = timed("image", reading.read_image, record.image, record.origin, True)
            label = timed("label", reading.read_label, record.label, record.origin)
            timed("check of the label", reading.check_label, label, 19, 255, record.label)
            sample = reading.Sample(image, label, record.image, rgb=True)
            rng = np.random.default_rng(number)
            for step in source.transforms.transforms:
                timed(type(step).__name__, step, sample, rng)
            sample.image = sample.image.transpose(2, 0, 1)
            timed("collate", collate, [sample])
        return {"seconds": time.perf_counter() - start, "images": images, "stages": spent}

    return run


def _run_config(network: str) -> Any:
    import dygraph.build  # noqa: F401 - fills the registries
    from shared.config.eager import load_run_config

    run = load_run_config(str(ROOT / NETWORKS[network]))
    return run.replace(model=run.model.without("pretrained"))


def _prepare(prepared: bool) -> None:
    if prepared:
        runtime.prepare()


def train(network: str, shape: list[int], mode: str, prepared: bool = True, onednn: bool | None = None) -> Round:
    """A training step of the recipe's network, loss and optimiser, from host arrays to the loss on the host."""
    _prepare(prepared)
    import numpy as np

    if mode == "eager":
        from dygraph.engine.session import training_mode
    else:
        from legacy.pdseg.session import training_mode

    run = _run_config(network)
    run = run.replace(train=replace(run.train, onednn=onednn))
    stepper = training_mode(run, False).make_stepper(run, 0, shape)
    rng = np.random.default_rng(0)
    images = rng.standard_normal(shape, dtype=np.float32)
    labels = rng.integers(0, 19, (shape[0], *shape[2:]))
    return lambda: stepper.train_step(images, labels, 0.01) and None


def _predictor(network: str, mode: str) -> Any:
    import paddle

    from dygraph.build import build_model
    from dygraph.converted import ENGINES
    from dygraph.engine.cpu_kernels import uses_fast_kernels
    from dygraph.engine.precision import FULL
    from dygraph.engine.session import prediction_place
    from dygraph.engine.stepper import EagerPredictor

    run = _run_config(network)
    place = prediction_place(use_gpu=False)
    fast_kernels = uses_fast_kernels(run, place, FULL)
    paddle.seed(0)
    built = build_model(run.model, num_classes=run.num_classes, data_format=run.data_format)
    if mode == "eager":
        return EagerPredictor(built, fast_kernels)
    if mode in ("exported", *ENGINES):
        return _exported(EagerPredictor(built), mode)
    from legacy.pdseg.session import network_builder, weights_of
    from legacy.pdseg.stepper import StaticPredictor

    return StaticPredictor(network_builder(run), weights_of(built), place, fast_kernels)


def _exported(own: Any, mode: str) -> Any:
    """The network exported: run by Paddle Inference, or as ``--backend`` does."""
    import tempfile

    from dygraph.converted import with_backend
    from dygraph.engine.export import ExportedPredictor, ExportSpec, export_eager

    if mode != "exported":
        return with_backend(mode, None, own, lambda spec: export_eager(own.network, spec))

    class Exported(ExportedPredictor):
        """Its class ids."""

        def class_ids(self, images: Any) -> Any:
            """What the exported argmax gives."""
            return self.run(images)

    spec = ExportSpec(Path(tempfile.mkdtemp(prefix="dualseg-bench-")), "argmax")
    export_eager(own.network, spec)
    return Exported(spec)


def predict(network: str, shape: list[int], mode: str) -> Round:
    """One image to class ids on the host."""
    _prepare(True)
    import numpy as np

    predictor = _predictor(network, mode)
    image = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    return lambda: predictor.class_ids(image) is None or None


def refusals() -> Round:
    """Which backends cannot run here, and why."""
    _prepare(True)
    from dygraph.converted import ENGINES, require
    from shared.errors import MachineError

    def ask() -> dict[str, Any]:
        said = {}
        for name, engine in ENGINES.items():
            try:
                require(engine)
            except MachineError as error:
                said[name] = str(error)
        return {"refusals": said}

    return ask


def matrix(size_hw: list[int], classes: int, with_argmax: bool, repeats: int) -> Round:
    """The confusion matrix of one image, from ids as the network gives them, or from logits."""
    _prepare(True)
    import numpy as np
    import paddle

    from shared.metrics.confusion import confusion_matrix

    rng = np.random.default_rng(0)
    label = rng.integers(0, classes, size_hw).astype(np.uint8)
    logits = paddle.to_tensor(rng.standard_normal((1, classes, *size_hw), dtype=np.float32))
    ids = paddle.argmax(logits, axis=1, dtype="int32").numpy()[0]

    def run() -> None:
        for _ in range(repeats):
            found = paddle.argmax(logits, axis=1, dtype="int32").numpy()[0] if with_argmax else ids
            confusion_matrix(found, label, classes)

    return run


def evaluation(network: str, root: str, frames: int, workers: int, mode: str) -> Round:
    """A whole evaluation, split into waiting for data, network, and the rest; and the memory as it goes on."""
    _prepare(True)
    from shared.config.run_config import Component, DatasetConfig, ReaderConfig
    from shared.engine.data import EvalData
    from shared.engine.evaluate import evaluate

    run = _run_config(network)
    section = DatasetConfig(
        Component("Cityscapes", {"dataset_root": root, "mode": "val"}), (Component("Normalize"),), True
    )
    reader = ReaderConfig("process", workers) if workers else ReaderConfig()
    data = EvalData(run.replace(val_data=section, reader=reader))
    data.dataset.records = (list(data.dataset.records) * frames)[:frames]
    predictor = _predictor(network, mode)
    spent = {"network": 0.0}
    memory: list[float] = []

    class Timed:
        """The predictor with a clock."""

        def class_ids(self, images: Any) -> Any:
            """As the predictor's."""
            start = time.perf_counter()
            ids = predictor.class_ids(images)
            spent["network"] += time.perf_counter() - start
            memory.append(now_mib())
            return ids

    def whole() -> dict[str, Any]:
        spent["network"] = 0.0
        memory.clear()
        start = time.perf_counter()
        with data.open() as batches:
            evaluate(Timed(), batches, run.evaluation, 19, 255)
            waited = batches.wait_seconds
        seconds = time.perf_counter() - start
        rest = seconds - waited - spent["network"]
        split = {"reading": waited, "network": spent["network"], "metric and all else": rest}
        return {"seconds": seconds, "images": frames, "stages": split, "memory_mib": list(memory)}

    return whole


if __name__ == "__main__":
    serve(
        {
            "data": data,
            "stages": stages,
            "train": train,
            "refusals": refusals,
            "predict": predict,
            "matrix": matrix,
            "evaluation": evaluation,
        }
    )
