"""``--backend``: the network of either mode exported, converted to ONNX and run by another library on the CPU.

Nothing is believed: the first images go through the network itself as well, and a disagreement ends the command.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from dygraph.engine.export import MOST_DIFFERENT_PIXELS, ExportSpec, share_of_other_classes
from shared.engine.stepper import Predictor
from shared.errors import MachineError, RunFailedError
from shared.runtime import threads

logger = logging.getLogger(__name__)

Runner = Callable[[np.ndarray], np.ndarray]

#: Sizes of batches that OpenVINO compiles the network for, one by one; every other size goes through one for any size.
OWN_SHAPES = 4
_CONVERSION = {"opset_version": 17, "optimize_tool": "None"}  # whoever runs it folds constants itself, and faster


@dataclass(frozen=True)
class Engine:
    """A library that runs ONNX files.

    Attributes:
        name: what it is called in messages.
        package: what is imported.
        extra: of ``setup.py``, that installs it.
        load: the file -> what gives the file's output for images ``[N, 3, H, W]`` float32. The file is deleted after.
        most_different: the share of pixels that may have another class than the network gives.
        refusal: says what this processor lacks for it; None where it can run it.
    """

    name: str
    package: str
    extra: str
    load: Callable[[Path], Runner]
    most_different: float = MOST_DIFFERENT_PIXELS
    refusal: Callable[[], str | None] = lambda: None


def _onnxruntime(path: Path) -> Runner:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"image": images})[0]


def _openvino(path: Path, precision: str = "f32") -> Runner:
    import openvino

    from dygraph.last_resizing import resize_class_by_class
    from dygraph.winograd import replace_convolutions

    core = openvino.Core()
    model = core.read_model(str(path))
    rewritten = precision == "f32"  # what the rewriting is measured in
    if rewritten:
        resize_class_by_class(model)
    # said, because by itself it takes bfloat16 where the processor has it, and the numbers are not the network's
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads(),
    }
    compiled: dict[tuple[int, ...] | None, Any] = {}

    def run(images: np.ndarray) -> np.ndarray:
        shape = images.shape if images.shape in compiled or len(compiled) < OWN_SHAPES else None
        if shape not in compiled:
            own = model.clone()
            if shape is not None:
                own.reshape(list(shape))
                if rewritten:
                    replace_convolutions(own)
            compiled[shape] = core.compile_model(own, "CPU", settings)
        return np.array(compiled[shape]([images])[0])

    return run


def _no_bfloat16() -> str | None:
    import openvino

    able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if "BF16" in able:
        return None
    here = ", ".join(able)
    return f"--backend openvino-bf16 needs a processor with bfloat16, and this one has {here}; use --backend openvino"


ENGINES = {
    "onnxruntime": Engine("ONNX Runtime", "onnxruntime", "onnx", _onnxruntime),
    "openvino": Engine("OpenVINO", "openvino", "openvino", _openvino),
    "openvino-bf16": Engine(
        "OpenVINO in bfloat16", "openvino", "openvino", partial(_openvino, precision="bf16"), 0.03, _no_bfloat16
    ),
}


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
            return self._runners[output_op](images)
        runner = _converted(self._engine, self._write, output_op)
        output = runner(images)
        self._prove(output if output_op == "argmax" else output.argmax(axis=1), images)
        self._runners[output_op] = runner
        return output

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


def require(engine: Engine) -> None:
    """See that an engine can run here.

    Raises:
        MachineError: a package is missing, or the processor lacks something.
    """
    for package in (engine.package, "paddle2onnx"):
        try:
            import_module(package)
        except ImportError as error:
            raise MachineError(
                f"--backend {engine.package} needs the package {error.name}: pip install -e '.[{engine.extra}]', "
                "or use --backend paddle"
            ) from error
    refusal = engine.refusal()
    if refusal:
        raise MachineError(refusal)


def _converted(engine: Engine, write: Callable[[ExportSpec], None], output_op: str) -> Runner:
    """What runs the network with ``output_op`` behind it."""
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
        return engine.load(target)


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
