"""``--backend onnxruntime``: the network of either mode exported, converted and run by ONNX Runtime on the CPU.

Nothing is believed: the first images go through the network itself as well, and a disagreement ends the command.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dygraph.engine.export import MOST_DIFFERENT_PIXELS, ExportSpec, share_of_other_classes
from shared.engine.stepper import Predictor
from shared.errors import MachineError, RunFailedError

logger = logging.getLogger(__name__)

_CONVERSION = {"opset_version": 17, "optimize_tool": "None"}  # ONNX Runtime folds constants by itself, and faster


class OnnxPredictor:
    """A network converted to ONNX, in place of the predictor it came from.

    Args:
        reference: the network's own predictor.
        write: writes the network's Program and weights as an :class:`ExportSpec` says.

    Raises:
        MachineError: a package is missing.
    """

    def __init__(self, reference: Predictor, write: Callable[[ExportSpec], None]) -> None:
        _require_packages()
        self._reference = reference
        self._write = write
        self._sessions: dict[str, Any] = {}

    def logits(self, images: np.ndarray) -> np.ndarray:
        """``[N, 3, H, W]`` float32 -> main logits ``[N, K, H, W]`` float32."""
        return self._run("none", images)

    def class_ids(self, images: np.ndarray) -> np.ndarray:
        """``[N, 3, H, W]`` float32 -> ``[N, H, W]`` int32 class ids."""
        return self._run("argmax", images)

    def _run(self, output_op: str, images: np.ndarray) -> np.ndarray:
        images = np.ascontiguousarray(images, np.float32)
        session = self._sessions.get(output_op)
        if session is not None:
            return session.run(None, {"image": images})[0]
        session = _converted(self._write, output_op)
        output = session.run(None, {"image": images})[0]
        self._prove(output if output_op == "argmax" else output.argmax(axis=1), images)
        self._sessions[output_op] = session
        return output

    def _prove(self, ids: np.ndarray, images: np.ndarray) -> None:
        """Compare with the network itself, as an export is proved.

        Raises:
            RunFailedError: more than 0.1 % of the pixels have another class.
        """
        different = share_of_other_classes(ids, self._reference.logits(images))
        if different > MOST_DIFFERENT_PIXELS:
            raise RunFailedError(
                f"ONNX Runtime gives another class than the network on {different:.2%} of the pixels of images "
                f"{images.shape} (at most {MOST_DIFFERENT_PIXELS:.1%} is allowed): use --backend paddle"
            )
        logger.info("ONNX Runtime proved on images %s: %.4f%% of the pixels differ", images.shape, 100 * different)


def with_backend(
    name: str, use_gpu: bool | None, predictor: Predictor, write: Callable[[ExportSpec], None]
) -> Predictor:
    """The predictor itself for ``paddle``, else what runs its network in its place.

    Raises:
        MachineError: ``onnxruntime`` with a GPU asked for, or without its packages.
    """
    if name == "paddle":
        return predictor
    if use_gpu:
        raise MachineError("--backend onnxruntime runs on the CPU, and a GPU is asked for; use --backend paddle")
    return OnnxPredictor(predictor, write)


def _require_packages() -> None:
    try:
        import onnxruntime  # noqa: F401
        import paddle2onnx  # noqa: F401
    except ImportError as error:
        raise MachineError(
            f"--backend onnxruntime needs the package {error.name}: pip install -e '.[onnx]', or use --backend paddle"
        ) from error


def _converted(write: Callable[[ExportSpec], None], output_op: str) -> Any:
    """An ONNX Runtime session of the network with ``output_op`` behind it."""
    import onnxruntime
    import paddle2onnx

    with tempfile.TemporaryDirectory(prefix="dualseg-onnx-") as folder:
        spec, target = ExportSpec(Path(folder), output_op), Path(folder) / "model.onnx"
        write(spec)
        try:
            with _output_to_stderr():
                paddle2onnx.export(str(spec.model_path), str(spec.params_path), str(target), **_CONVERSION)
        except Exception as error:
            raise _unconverted(str(error)) from error
        if not target.is_file():
            raise _unconverted("its converter wrote no file; the lines above say why")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
        return onnxruntime.InferenceSession(str(target), options, providers=["CPUExecutionProvider"])


def _unconverted(reason: str) -> RunFailedError:
    return RunFailedError(f"this network cannot be converted to ONNX ({reason}); use --backend paddle")


@contextmanager
def _output_to_stderr() -> Iterator[None]:
    """The converter writes to standard output, where only results belong."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
