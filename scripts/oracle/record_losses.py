"""What PaddleSeg 2.8.0 computes as losses and as edges of labels; run through ``record_paddleseg.py``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import paddle
from paddleseg.cvlibs import manager
from paddleseg.transforms import functional

from scripts.oracle.fixed_weights import sample
from scripts.oracle.loss_cases import EDGE_CASES, LOSS_CASES, edge_case_label, fixed_noise, loss_inputs

LOSSES = manager.LOSSES.components_dict
FLOATS = (paddle.float32, paddle.float64)
OPERATORS = ("__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__", "__truediv__", "__rtruediv__")


def record_losses() -> list[dict[str, Any]]:
    """Values and gradients of the losses on one small batch, float32, the only type all of them take."""
    paddle.set_default_dtype("float32")
    records = []
    for name, arguments, kind in LOSS_CASES:
        maps, labels = loss_inputs(kind)
        maps = [paddle.to_tensor(x.astype(np.float32), stop_gradient=False) for x in maps]
        loss = LOSSES[name](**prepared(name, arguments))
        with fixed_random(), promoted() if name == "RelaxBoundaryLoss" else nullcontext():
            value = loss(maps[0] if len(maps) == 1 else tuple(maps), paddle.to_tensor(labels))
            total = sum(value) if isinstance(value, (list, tuple)) else value
            total.backward()
        gradient = sample(np.asarray(maps[0].grad.numpy()), count=61)
        records.append({"loss": name, "args": arguments, "input": kind, "value": float(total), "grad": gradient})
    return records


def prepared(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """PaddleSeg takes a BCE weight as a tensor and nested losses as objects."""
    arguments = dict(arguments)
    if name == "BCELoss" and isinstance(arguments.get("weight"), float):
        arguments["weight"] = paddle.to_tensor([arguments["weight"]])
    if name == "MixedLoss":
        nested = [dict(spec) for spec in arguments["losses"]]
        arguments["losses"] = [LOSSES[spec.pop("type")](**spec) for spec in nested]
    return arguments


@contextmanager
def fixed_random() -> Iterator[None]:
    """``paddle.rand`` gives ``fixed_noise``."""
    drawn = paddle.rand
    paddle.rand = lambda shape: paddle.to_tensor(fixed_noise(shape).astype(np.float32))
    try:
        yield
    finally:
        paddle.rand = drawn


@contextmanager
def promoted() -> Iterator[None]:
    """Arithmetic between an integer tensor and a floating one is floating.

    Paddle 2.6.2 takes the type of the left operand, which leaves the whole part of RelaxBoundaryLoss and no gradient.
    """
    tensor = type(paddle.zeros([1]))
    plain = {name: getattr(tensor, name) for name in OPERATORS}
    for name, operator in plain.items():
        setattr(tensor, name, _promoting(operator))
    try:
        yield
    finally:
        for name, operator in plain.items():
            setattr(tensor, name, operator)


def _promoting(operator: Any) -> Any:
    def promote(one: paddle.Tensor, other: Any) -> paddle.Tensor:
        if isinstance(other, paddle.Tensor) and (one.dtype in FLOATS) != (other.dtype in FLOATS):
            one, other = (x if x.dtype in FLOATS else x.astype("float32") for x in (one, other))
        return operator(one, other)

    return promote


def record_edges() -> list[dict[str, Any]]:
    """Edges of small labels, a text of zeros and ones per row."""
    records = []
    for case in EDGE_CASES:
        label, num_classes = edge_case_label(*case)
        edges = functional.mask_to_binary_edge(label, radius=case[2], num_classes=num_classes)[0]
        records.append({"case": list(case), "edges": ["".join(map(str, row)) for row in edges.tolist()]})
    return records
