"""Exported networks: what is written, how it is read back, and the proof that it computes the same.

Both modes write the same three files: ``<model>.json`` (the Program), ``<params>.pdiparams`` (the weights) and
``deploy.yaml`` (pre- and post-processing).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import paddle
import yaml
from paddle import inference
from paddle.nn import functional

from dygraph.engine.quick_building import quick_building
from shared.config.effective import component_values
from shared.config.run_config import RunConfig
from shared.engine.checkpoint import ensure_writable
from shared.engine.data import EvalData, inference_section
from shared.engine.inference import softmax_classes
from shared.engine.stepper import Predictor
from shared.errors import ConfigError, RunFailedError, UserError
from shared.registry import TRANSFORMS
from shared.runtime import threads

logger = logging.getLogger(__name__)

OUTPUT_OPS = ("argmax", "softmax", "none")
MOST_DIFFERENT_PIXELS = 0.001
TIE = 1e-4


@dataclass(frozen=True)
class ExportSpec:
    """What to write.

    Attributes:
        save_dir: the directory.
        output_op: ``argmax`` gives ids ``[N, H, W]`` int32; ``softmax`` probabilities, ``none`` logits
            ``[N, K, H, W]`` float32.
        input_shape: ``[N, 3, H, W]``; -1 where any size will do.
        model_name: stem of the Program's file.
        params_name: name of the weights' file.
    """

    save_dir: Path
    output_op: str = "argmax"
    input_shape: tuple[int, int, int, int] = (-1, 3, -1, -1)
    model_name: str = "model"
    params_name: str = "model.pdiparams"

    def __post_init__(self) -> None:
        _check_input_shape(self.input_shape)

    @property
    def model_path(self) -> Path:
        """The Program's file."""
        return self.save_dir / f"{self.model_name}.json"

    @property
    def params_path(self) -> Path:
        """The weights' file."""
        return self.save_dir / self.params_name

    def rename_params(self) -> None:
        """Give the weights the asked name; Paddle writes them beside the Program under the same stem."""
        written = self.save_dir / f"{self.model_name}.pdiparams"
        if written != self.params_path:
            written.replace(self.params_path)


class InferenceNetwork(paddle.nn.Layer):
    """A network and the operator after it, as one Layer from image to output."""

    def __init__(self, network: paddle.nn.Layer, output_op: str) -> None:
        super().__init__()
        self.network = network
        self.output_op = output_op

    def forward(self, image: paddle.Tensor) -> paddle.Tensor:
        """``[N, 3, H, W]`` normalised -> what ``output_op`` says."""
        return self._traced_as_it_stands(image)

    @paddle.jit.not_to_static
    def _traced_as_it_stands(self, image: paddle.Tensor) -> paddle.Tensor:
        """No Python below here is rewritten when tracing: none of it depends on a tensor's values."""
        logits = self.network(image)[0]
        if self.output_op == "argmax":
            return paddle.argmax(logits, axis=1, dtype="int32")
        if self.output_op == "softmax":
            return functional.softmax(logits, axis=1)
        return logits


def cpu_predictor(model: str, params: str) -> inference.Predictor:
    """Paddle Inference on the CPU for these files, without oneDNN, with as many threads as Paddle has here.

    One of its own that is not told a number leaves the whole process with one thread.
    """
    config = inference.Config(model, params)
    config.disable_gpu()
    config.disable_mkldnn()
    config.disable_glog_info()
    config.set_cpu_math_library_num_threads(max(1, threads()))
    return inference.create_predictor(config)


class ExportedPredictor:
    """An exported network, run by Paddle Inference.

    oneDNN is off: on the CPU it refuses bilinear interpolation of such a Program.
    """

    def __init__(self, spec: ExportSpec) -> None:
        self._predictor = cpu_predictor(str(spec.model_path), str(spec.params_path))

    def run(self, images: np.ndarray) -> np.ndarray:
        """``[N, 3, H, W]`` float32 -> the exported output."""
        handle = self._predictor.get_input_handle(self._predictor.get_input_names()[0])
        handle.copy_from_cpu(np.ascontiguousarray(images, dtype=np.float32))
        self._predictor.run()
        return self._predictor.get_output_handle(self._predictor.get_output_names()[0]).copy_to_cpu()


def export_eager(network: paddle.nn.Layer, spec: ExportSpec) -> None:
    """Trace an eager network and write Program and weights."""
    whole = InferenceNetwork(network, spec.output_op)
    whole.eval()
    signature = [paddle.static.InputSpec(list(spec.input_shape), "float32", "image")]
    traced = paddle.jit.to_static(whole, input_spec=signature, full_graph=True)
    with quick_building():
        paddle.jit.save(traced, str(spec.save_dir / spec.model_name))
    spec.rename_params()


def write_deploy_file(run: RunConfig, spec: ExportSpec, class_names: Sequence[str]) -> Path:
    """Write ``deploy.yaml``: everything a program needs to feed the network and read its output."""
    data = inference_section(run)
    deploy: dict[str, Any] = {
        "Deploy": {
            "model": spec.model_path.name,
            "params": spec.params_path.name,
            "input_shape": list(spec.input_shape),
            "output_op": spec.output_op,
            "output_dtype": "int32" if spec.output_op == "argmax" else "float32",
            "to_rgb": data.to_rgb,
            "transforms": [component_values(TRANSFORMS, component, defaults=True) for component in data.transforms],
            "num_classes": run.num_classes,
            "class_names": list(class_names),
        }
    }
    path = spec.save_dir / "deploy.yaml"
    path.write_text(yaml.safe_dump(deploy, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def prove(spec: ExportSpec, reference: Predictor, images: np.ndarray) -> float:
    """Run the exported files beside the network they came from.

    Args:
        images: ``[N, 3, H, W]`` float32, real images as the transforms make them.

    Returns:
        Share of pixels whose class differs, see :func:`share_of_other_classes`.

    Raises:
        RunFailedError: more than 0.1 % of the pixels differ.
    """
    exported = ExportedPredictor(spec).run(images)
    ids = exported if spec.output_op == "argmax" else exported.argmax(axis=1)
    different = share_of_other_classes(ids, reference.logits(images))
    if different > MOST_DIFFERENT_PIXELS:
        raise RunFailedError(
            f"the exported network gives another class on {different:.2%} of the pixels of {images.shape} "
            f"(at most {MOST_DIFFERENT_PIXELS:.1%} is allowed): do not use {spec.save_dir}"
        )
    logger.info("export proved on %d image(s): %.4f%% of the pixels differ", len(images), 100 * different)
    return different


def share_of_other_classes(ids: np.ndarray, logits: np.ndarray) -> float:
    """The share of pixels with another class than the network's own.

    A class differs where it is less probable than the network's by more than 1e-4: ties may fall either way.

    Args:
        ids: ``[N, H, W]`` integers, of what stands in for the network.
        logits: ``[N, K, H, W]`` of the network.
    """
    probabilities = softmax_classes(logits)
    chosen = np.take_along_axis(probabilities, ids[:, None].astype(np.int64), axis=1)[:, 0]
    return float(np.mean(probabilities.max(axis=1) - chosen > TIE))


def export_command(run: RunConfig, spec: ExportSpec, predictor: Predictor, write: Callable[[], None]) -> None:
    """The export command of both modes: ``write`` the files, describe them, and prove them on a real image.

    Where the validation set is not there, the export is proved on noise, and the log says so.
    """
    ensure_writable(spec.save_dir)
    write()
    images, class_names = _proof_images(run, spec)
    write_deploy_file(run, spec, class_names)
    prove(spec, predictor, images)
    files = (spec.model_path.name, spec.params_path.name, "deploy.yaml")
    logger.info("exported %s to %s: %s", run.model.type, spec.save_dir, ", ".join(files))


def _check_input_shape(shape: tuple[int, int, int, int]) -> None:
    if shape[1] != 3 or any(size == 0 or size < -1 for size in shape):
        raise ConfigError(f"--input_shape: got {' '.join(map(str, shape))}, expected N 3 H W, each positive or -1")


def _proof_images(run: RunConfig, spec: ExportSpec) -> tuple[np.ndarray, Sequence[str]]:
    batch, _, height, width = spec.input_shape
    try:
        data = EvalData(run)
    except UserError as error:
        logger.warning("the export is proved on noise, there is no validation set: %s", error)
        names = [f"class {index}" for index in range(run.num_classes)]
        noise = np.random.default_rng(0).standard_normal((1, 3, 128, 256), dtype=np.float32)
        return _fit(noise, batch, height, width), names
    return _fit(data.source.get(0, 0).image[None], batch, height, width), data.dataset.class_names


def _fit(images: np.ndarray, batch: int, height: int, width: int) -> np.ndarray:
    """Resize and repeat ``[1, 3, h, w]`` to a fixed input shape; -1 keeps what is there."""
    height, width = (height if height > 0 else images.shape[2]), (width if width > 0 else images.shape[3])
    if images.shape[2:] != (height, width):
        resized = cv2.resize(images[0].transpose(1, 2, 0), (width, height), interpolation=cv2.INTER_LINEAR)
        images = resized.transpose(2, 0, 1)[None]
    return np.repeat(images, max(batch, 1), axis=0)
