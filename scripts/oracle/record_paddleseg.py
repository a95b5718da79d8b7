"""Record what PaddleSeg 2.8.0 computes, as a black box, for the tests of ``dygraph``.

Run it in an environment of its own::

    python3.11 -m venv oracle && oracle/bin/pip install paddlepaddle==2.6.2 'numpy<2' 'protobuf<5' 'scipy<1.14' \
        'scikit-learn<1.6' 'pillow<11' opencv-python-headless==4.10.0.84 filelock prettytable visualdl tqdm pyyaml \
        setuptools requests
    oracle/bin/pip install --no-deps paddleseg==2.8.0
    oracle/bin/python -m scripts.oracle.record_paddleseg [case ...]      # from the root of this checkout

Every case of ``cases.py`` becomes ``tests/fixtures/paddleseg/<case>.json``: the names and shapes of the network's
``state_dict()``, and samples of its float64 logits with the weights and inputs of ``fixed_weights.py``. In training
mode dropout is off and batch normalisation uses the statistics of the batch.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddleseg import models
from paddleseg.models import backbones, losses

from scripts.oracle.cases import CASES, NUM_CLASSES, Case
from scripts.oracle.fixed_weights import fixed_array, fixed_input, sample, to_tree
from scripts.oracle.loss_cases import LOSS_CASES, loss_inputs

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "paddleseg"


def main(names: list[str]) -> None:
    paddle.set_default_dtype("float64")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names or [*CASES, "losses"]:
        record = record_losses() if name == "losses" else record_case(CASES[name])
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
    for key, value in network.state_dict().items():
        value.set_value(fixed_array(key, value.shape))
    network.train() if training else network.eval()
    for layer in network.sublayers():
        if isinstance(layer, paddle.nn.Dropout):
            layer.p = 0.0
    with paddle.no_grad():
        logits = network(paddle.to_tensor(fixed_input(shape)))
    run = {"input": list(shape), "align_corners": align_corners, "training": training}
    return {**run, "logits": [sample(x.numpy()) for x in logits]}


def build(case: Case, align_corners: bool) -> paddle.nn.Layer:
    backbone_args = dict(case.backbone)
    backbone_type = backbone_args.pop("type")
    if backbone_type.startswith("HRNet"):
        backbone_args["align_corners"] = align_corners
    model_args = dict(case.model)
    model_type = model_args.pop("type")
    backbone = getattr(backbones, backbone_type)(**backbone_args)
    return getattr(models, model_type)(
        num_classes=NUM_CLASSES, backbone=backbone, align_corners=align_corners, **model_args
    )


def record_losses() -> list[dict[str, Any]]:
    """Values and gradients of the losses on one small batch, float32, the only type all of them take."""
    paddle.set_default_dtype("float32")
    records = []
    for name, arguments, kind in LOSS_CASES:
        logits, labels = loss_inputs(kind)
        x = paddle.to_tensor(logits.astype(np.float32), stop_gradient=False)
        value = getattr(losses, name)(**prepared(name, arguments))(x, paddle.to_tensor(labels))
        total = sum(value) if isinstance(value, (list, tuple)) else value
        total.backward()
        gradient = sample(np.asarray(x.grad.numpy()), count=61)
        records.append({"loss": name, "args": arguments, "input": kind, "value": float(total), "grad": gradient})
    return records


def prepared(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """PaddleSeg takes a BCE weight as a tensor and nested losses as objects."""
    arguments = dict(arguments)
    if name == "BCELoss" and isinstance(arguments.get("weight"), float):
        arguments["weight"] = paddle.to_tensor([arguments["weight"]])
    if name == "MixedLoss":
        nested = [dict(spec) for spec in arguments["losses"]]
        arguments["losses"] = [getattr(losses, spec.pop("type"))(**spec) for spec in nested]
    return arguments


if __name__ == "__main__":
    main(sys.argv[1:])
