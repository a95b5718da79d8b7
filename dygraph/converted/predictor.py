"""A network converted to ONNX in place of the predictor it came from.

Nothing is believed: the first images go through the network itself as well, and a disagreement ends the command.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from dygraph.converted.engines import ENGINES, Engine, Runner, require
from dygraph.converted.onnx_file import write_onnx
from dygraph.engine.export import ExportSpec, share_of_other_classes
from shared.config.run_config import RunConfig
from shared.engine.memory import is_out_of_memory
from shared.engine.stepper import Predictor
from shared.errors import MachineError, RunFailedError

logger = logging.getLogger(__name__)


class ConvertedPredictor:
    """A network converted to ONNX, in place of the predictor it came from.

    Args:
        engine: who runs it.
        reference: the network's own predictor.
        write: writes the network's Program and weights as an :class:`ExportSpec` says.

    Raises:
        MachineError: a package is missing, or the processor cannot run it.
    """

    def __init__(self, engine: Engine, reference: Predictor, write: Callable[[ExportSpec], None]) -> None:
        require(engine)
        self._engine = engine
        self._reference = reference
        self._write = write
        self._runners: dict[str, Runner] = {}

    def logits(self, images: np.ndarray) -> np.ndarray:
        """``[N, 3, H, W]`` float32 -> main logits ``[N, K, H, W]`` float32."""
        return self._run("none", images)

    def class_ids(self, images: np.ndarray) -> np.ndarray:
        """``[N, 3, H, W]`` float32 -> ``[N, H, W]`` int32 class ids."""
        return self._run("argmax", images)

    def _run(self, output_op: str, images: np.ndarray) -> np.ndarray:
        images = np.ascontiguousarray(images, np.float32)
        if output_op in self._runners:
            with self._failing_clearly():
                return self._runners[output_op](images)
        runner = self._converted(output_op)
        with self._failing_clearly():
            output = runner(images)
        self._prove(output if output_op == "argmax" else output.argmax(axis=1), images)
        self._runners[output_op] = runner
        return output

    def _converted(self, output_op: str) -> Runner:
        """What runs the network with ``output_op`` behind it."""
        with tempfile.TemporaryDirectory(prefix="dualseg-onnx-") as folder:
            target = Path(folder) / "model.onnx"
            write_onnx(self._write, ExportSpec(Path(folder), output_op), target)
            with self._failing_clearly():
                return self._engine.load(target)

    @contextmanager
    def _failing_clearly(self) -> Iterator[None]:
        """Say who failed; too little memory stays what it is, for the caller then takes windows of the image."""
        try:
            yield
        except Exception as error:  # the engines' errors have no other class in common
            if is_out_of_memory(error):
                raise
            raise RunFailedError(
                f"{self._engine.name} cannot run this network ({error}); use --backend paddle"
            ) from error

    def _prove(self, ids: np.ndarray, images: np.ndarray) -> None:
        """Compare with the network itself, as an export is proved.

        Raises:
            RunFailedError: more pixels have another class than the engine may have.
        """
        different = share_of_other_classes(ids, self._reference.logits(images))
        if different > self._engine.most_different:
            raise RunFailedError(
                f"{self._engine.name} gives another class than the network on {different:.2%} of the pixels of images "
                f"{images.shape} (at most {self._engine.most_different:.1%} is allowed): use --backend paddle"
            )
        logger.info(
            "%s proved on images %s: %.4f%% of the pixels differ", self._engine.name, images.shape, 100 * different
        )


def convertible(run: RunConfig, backend: str) -> RunConfig:
    """The run with the channels first, where its network is to be converted; weights fit either layout."""
    return run if backend == "paddle" else run.replace(data_format="NCHW")


def with_backend(
    name: str, use_gpu: bool | None, predictor: Predictor, write: Callable[[ExportSpec], None]
) -> Predictor:
    """The predictor itself for ``paddle``, else what runs its network in its place.

    Raises:
        MachineError: one of :data:`ENGINES` with a GPU asked for, without its packages, or on a processor that
            cannot run it.
    """
    if name == "paddle":
        return predictor
    if use_gpu:
        raise MachineError(f"--backend {name} runs on the CPU, and a GPU is asked for; use --backend paddle")
    return ConvertedPredictor(ENGINES[name], predictor, write)
