"""Record what PaddleSeg 2.8.0 computes, as a black box, for the tests of ``dygraph``.

Run it in an environment of its own::

    python3.11 -m venv oracle && oracle/bin/pip install paddlepaddle==2.6.2 'numpy<2' 'protobuf<5' 'scipy<1.14' \
        'scikit-learn<1.6' 'pillow<11' opencv-python-headless==4.10.0.84 filelock prettytable visualdl tqdm pyyaml \
        setuptools requests
    oracle/bin/pip install --no-deps paddleseg==2.8.0
    oracle/bin/python -m scripts.oracle.record_paddleseg [case ...]      # from the root of this checkout

Every case of ``cases.py`` becomes ``tests/fixtures/paddleseg/<case>.json``: the names and shapes of the network's
``state_dict()``, and samples of its float64 logits with the weights and inputs of ``fixed_weights.py``. In training
mode dropout is off and batch normalisation uses the statistics of the batch. ``losses`` and ``edges`` are cases too.
"""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any

import paddle
from paddleseg import models
from paddleseg.models import backbones

from scripts.oracle.cases import CASES, NUM_CLASSES, Case
from scripts.oracle.fixed_weights import fixed_array, fixed_input, sample, to_tree
from scripts.oracle.record_losses import record_edges, record_losses

paddle_concat = paddle.concat
FOLDER = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "paddleseg"


def main(names: list[str]) -> None:
    paddle.set_default_dtype("float64")
    paddle.concat = concat_scalars
    FOLDER.mkdir(parents=True, exist_ok=True)
    others = {"losses": record_losses, "edges": record_edges}
    for name in names or [*CASES, *others]:
        record = others[name]() if name in others else record_case(CASES[name])
        path = FOLDER / f"{name}.json"
        path.write_text(json.dumps(record, separators=(",", ":")) + "\n")
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def record_case(case: Case) -> dict[str, Any]:
    """Shapes and runs of one network."""
    network = build(case, align_corners=False)
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    return {"state": to_tree(shapes), "runs": [record_run(case, *run) for run in case.runs]}


def record_run(case: Case, shape: tuple[int, ...], align_corners: bool, training: bool) -> dict[str, Any]:
    network = build(case, align_corners)
    network.to(dtype="float64")  # some layers create float32 parameters whatever the default
    for key, value in network.state_dict().items():
        value.set_value(fixed_array(key, value.shape))
    network.train() if training else network.eval()
    for layer in network.sublayers():
        if isinstance(layer, (paddle.nn.Dropout, paddle.nn.Dropout2D)):
            layer.p = 0.0
    with paddle.no_grad():
        logits = list(network(paddle.to_tensor(fixed_input(shape))))
    logits.insert(0, logits.pop(case.main))
    run = {"input": list(shape), "align_corners": align_corners, "training": training}
    return {**run, "logits": [described(x) for x in logits]}


def described(output: Any) -> Any:
    """A sample of one map; of a pair of maps (segmentation and edge) a list of both."""
    return [described(x) for x in output] if isinstance(output, (list, tuple)) else sample(output.numpy())


def concat_scalars(x: Any, axis: int = 0, name: str | None = None) -> paddle.Tensor:
    """``paddle.concat`` as ISANet calls it, with scalars, and GSCNN, with mixed types: Paddle 2.6.2 refuses both."""
    if isinstance(x, (list, tuple)):
        if any(isinstance(one, paddle.Tensor) and one.dtype == paddle.float64 for one in x):
            x = [one.astype("float64") for one in x]
        x = [one.reshape([1]) if isinstance(one, paddle.Tensor) and one.ndim == 0 else one for one in x]
    return paddle_concat(x, axis, name)


def build(case: Case, align_corners: bool) -> paddle.nn.Layer:
    arguments = {"num_classes": NUM_CLASSES, "align_corners": align_corners}
    if case.backbone is not None:
        backbone_args = dict(case.backbone)
        backbone = getattr(backbones, backbone_args.pop("type"))
        if backbone.__name__.startswith("HRNet"):
            backbone_args["align_corners"] = align_corners
        arguments["backbone"] = backbone(**backbone_args)
    model_args = dict(case.model)
    model = getattr(models, case.recorded_as or model_args["type"])
    del model_args["type"]
    known = inspect.signature(model.__init__).parameters
    return model(**{key: value for key, value in arguments.items() if key in known}, **model_args)


if __name__ == "__main__":
    main(sys.argv[1:])
