"""An ONNX file run by OpenVINO, compiled for each of the first sizes of batches."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import Model
from openvino.passes import ConstantFolding, Manager

from dygraph.converted import winograd
from dygraph.converted.engines import Runner
from dygraph.converted.last_resizing import resize_class_by_class
from shared.runtime import threads

#: Sizes of batches that the network is compiled for, one by one; every other size goes through one for any size.
OWN_SHAPES = 4


@cache
def core() -> openvino.Core:
    """The process's only one, which stays.

    Each puts a stack for signal handlers in place of the one before and puts that one back when it goes; of two that go
    in the order they came, the second puts back one that is gone, and the next signal ends the process.
    """
    return openvino.Core()


def openvino_runner(path: Path, precision: str) -> Runner:
    """What gives the file's output for images ``[N, 3, H, W]`` float32.

    Args:
        path: the file, which is read at once.
        precision: ``f32`` or ``bf16``. It is said, because by itself OpenVINO takes bfloat16 where the processor has
            it, and the numbers are not the network's. The model is rewritten for ``f32``, which is what it was
            measured in.
    """
    model = core().read_model(str(path))
    rewritten = precision == "f32"
    if rewritten:
        resize_class_by_class(model)
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
                    _fix_sizes(own)
                    winograd.replace_convolutions(own)
            compiled[shape] = core().compile_model(own, "CPU", settings)
        return np.array(compiled[shape]([images])[0])

    return run


def _fix_sizes(model: Model) -> None:
    """Compute every size that follows from the images', for which identities have to go."""
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Identity":
            for reader in node.output(0).get_target_inputs():
                reader.replace_source_output(node.input_value(0))
    fold = Manager()
    fold.register_pass(ConstantFolding())
    fold.run_passes(model)
    model.validate_nodes_and_infer_types()
