"""The libraries that run a converted network, and what each needs of the machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np

from dygraph.engine.export import MOST_DIFFERENT_PIXELS
from shared.errors import MachineError
from shared.runtime import threads

Runner = Callable[[np.ndarray], np.ndarray]


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


def _onnxruntime(path: Path) -> Runner:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"image": images})[0]


def _openvino(path: Path, precision: str = "f32") -> Runner:
    from dygraph.converted.openvino_runner import openvino_runner

    return openvino_runner(path, precision)


def _no_bfloat16() -> str | None:
    from dygraph.converted.openvino_runner import core

    able = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
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
