"""Evaluation and export of the two modes: the same confusion matrix to the pixel, the same exported logits."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from dygraph.engine.export import ExportedPredictor, ExportSpec, export_eager
from dygraph.engine.stepper import EagerPredictor
from legacy.pdseg.export import export_static
from shared.config.run_config import Component, DatasetConfig, EvalConfig
from shared.datasets.dataset import Dataset
from shared.engine.data import ImageOnly
from shared.engine.evaluate import evaluate
from shared.reading.reader import open_reader
from shared.reading.sampler import eval_batches
from shared.reading.source import SampleSource
from shared.transforms.compose import build_transforms
from tests.parity import ladder
from tests.parity.runs import spread_weights

SPECS = {
    "fcn_hrnet_w18_small": {"type": "FCN", "backbone": {"type": "HRNet_W18_Small_V1"}},
    "deeplabv3p_resnet18": {"type": "DeepLabV3P", "backbone": {"type": "ResNet18_vd", "output_stride": 8}},
}
SHAPE = (2, 3, 33, 49)
EVALUATIONS = {
    "whole": EvalConfig(),
    "sliding": EvalConfig(is_slide=True, crop_hw=(32, 40), stride_hw=(20, 24)),
    "scales_and_flips": EvalConfig(aug_eval=True, scales=(0.75, 1.25), flip_horizontal=True, flip_vertical=True),
}


@pytest.fixture(scope="module", params=SPECS)
def pair(request):
    """Weights large enough for every class to be predicted somewhere, and two steps for batch-norm statistics."""
    pair = ladder.make_pair(SPECS[request.param], SHAPE)
    spread_weights(pair)
    for stepper in pair:
        ladder.steps(stepper, SHAPE, 2)
    return pair


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Four images of two sizes, labels in blocks with ignored pixels."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(5)
    lines = []
    for number, (height, width) in enumerate([(48, 64), (33, 49), (48, 64), (40, 40)]):
        label = rng.integers(0, ladder.NUM_CLASSES, (height // 8 + 1, width // 8 + 1)).astype(np.uint8)
        label = label.repeat(8, axis=0).repeat(8, axis=1)[:height, :width].copy()
        label[:5] = ladder.IGNORE
        cv2.imwrite(str(folder / f"{number}.png"), rng.integers(0, 256, (height, width, 3), np.uint8))
        cv2.imwrite(str(folder / f"{number}_label.png"), label)
        lines.append(f"{number}.png {number}_label.png\n")
    (folder / "val.txt").write_text("".join(lines))
    return Dataset(str(folder), ladder.NUM_CLASSES, mode="val", val_path=str(folder / "val.txt"))


@pytest.mark.parametrize("name", EVALUATIONS)
@pytest.mark.parametrize("resized", [False, True], ids=["plain", "resized"])
def test_parity_evaluation_to_the_pixel(pair, dataset, name, resized):
    components = (Component("Resize", {"target_size": [56, 48]}),) if resized else ()
    config = DatasetConfig(Component("Dataset"), (*components, Component("Normalize")))
    source = SampleSource(dataset, ImageOnly(build_transforms(config.transforms, config.to_rgb)), seed=0)
    matrices = {}
    for mode, stepper in (("eager", pair.eager), ("static", pair.static)):
        with open_reader(source, eval_batches(len(dataset), 1)) as batches:
            result = evaluate(stepper, batches, EVALUATIONS[name], ladder.NUM_CLASSES, ladder.IGNORE)
        matrices[mode] = result.matrix
        assert result.images == len(dataset)
    assert matrices["eager"].sum() == sum(_valid_pixels(dataset))
    assert np.count_nonzero(matrices["eager"].sum(axis=0)) > 1, "the network predicts one class only: no test at all"
    np.testing.assert_array_equal(matrices["eager"], matrices["static"])


def _valid_pixels(dataset):
    for record in dataset.records:
        yield int((cv2.imread(record.label, cv2.IMREAD_UNCHANGED) != ladder.IGNORE).sum())


@pytest.mark.parametrize("output_op", ["none", "argmax"])
def test_parity_exports(pair, tmp_path, output_op):
    images, _ = ladder.images_and_labels((1, 3, 40, 56), seed=8)
    outputs = {}
    for mode in ("eager", "static"):
        spec = ExportSpec(tmp_path / mode, output_op)
        spec.save_dir.mkdir()
        if mode == "eager":
            export_eager(pair.eager.network, spec)
        else:
            export_static(pair.static, spec)
        outputs[mode] = ExportedPredictor(spec).run(images)
    network = EagerPredictor(pair.eager.network)  # by Paddle's own kernels, as an export computes
    expected = network.logits(images) if output_op == "none" else network.class_ids(images)
    np.testing.assert_array_equal(outputs["eager"], outputs["static"])
    np.testing.assert_array_equal(outputs["eager"], expected)
