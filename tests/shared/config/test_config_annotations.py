from __future__ import annotations

import inspect
from typing import Optional, Union

import pytest

from shared.config.annotations import value_problem

FITS = [
    ("int", 3),
    ("float", 3),
    ("float", 1e-4),
    ("bool", False),
    ("str", "NHWC"),
    ("int | None", None),
    ("Optional[int]", 4),
    ("typing.Optional[int]", None),
    ("Union[int, Sequence[int]]", [1, 2]),
    ("Sequence[int]", (1, 2)),
    ("Sequence[int]", []),
    ("tuple[int, int]", [1024, 512]),
    ("tuple[int, ...]", [1, 2, 3]),
    ("Sequence[Sequence[float]]", [[1, 2], [0.5]]),
    ("Mapping[str, Any]", {"a": 1}),
    ("Literal['NCHW', 'NHWC']", "NHWC"),
    ("nn.Layer", "anything"),
    ("Any", object()),
    (inspect.Parameter.empty, "anything"),
    (int, 3),
    (Optional[int], None),
    (Union[float, list], [1]),
    (list[int], [1]),
    ("not ( python", 3),
]
MISFITS = [
    ("int", True),
    ("int", 3.0),
    ("int", "3"),
    ("float", False),
    ("float", float("nan")),
    ("float", float("inf")),
    ("bool", 1),
    ("bool", "true"),
    ("str", 3),
    ("int", None),
    ("int | None", "x"),
    ("Sequence[int]", "12"),
    ("Sequence[int]", 12),
    ("Sequence[int]", [1, "2"]),
    ("Sequence[int]", [1, 2.5]),
    ("tuple[int, int]", [1, 2, 3]),
    ("tuple[int, ...]", [1, None]),
    ("Mapping[str, Any]", [1]),
    ("Literal['NCHW', 'NHWC']", "NWHC"),
    (int, "3"),
    (Optional[int], "3"),
    (list[int], ["a"]),
]


@pytest.mark.parametrize(("annotation", "value"), FITS)
def test_value_that_fits_has_no_problem(annotation, value):
    assert value_problem(annotation, value, "key") is None


@pytest.mark.parametrize(("annotation", "value"), MISFITS)
def test_error_value_that_does_not_fit(annotation, value):
    problem = value_problem(annotation, value, "model.x")
    assert problem is not None
    assert problem.startswith("model.x: expected ")


@pytest.mark.parametrize(
    ("annotation", "value", "sentence"),
    [
        ("int", "nineteen", "k: expected an integer, got the text 'nineteen'"),
        ("float", "1e-4", "k: expected a number, got the text '1e-4'; write 1e-4 without quotes"),
        ("int", "1.5", "k: expected an integer, got the text '1.5'"),
        ("bool", None, "k: expected true or false, got null"),
        ("Sequence[int] | None", True, "k: expected a list (each an integer) or null, got true"),
        ("tuple[int, int]", [1], "k: expected a list of 2 values (an integer, an integer), got [1]"),
        ("str", {"a": 1}, "k: expected text, got a mapping with a"),
    ],
)
def test_error_sentences(annotation, value, sentence):
    assert value_problem(annotation, value, "k") == sentence
