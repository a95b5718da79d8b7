"""What a resumed run is told about its config."""

from __future__ import annotations

import json

from shared.config.changes import differences


def test_value_each_value_that_differs_once():
    old = {"a": 1, "b": {"c": [1, 2], "d": [{"type": "X"}, {"type": "Y"}]}, "gone": None, "source": "x.yml"}
    new = {"a": 1, "b": {"c": (1, 3), "d": [{"type": "X"}, {"type": "Z", "p": 0.5}]}, "source": "y.yml", "new": {}}
    assert differences(old, new) == [
        "b.c: was [1, 2], now [1, 3]",
        "b.d.1.type: was Y, now Z",
        "gone: was None, now (absent)",
        "b.d.1.p: was (absent), now 0.5",
    ]
    assert differences(old, {**old, "source": "elsewhere"}) == []


def test_value_a_tuple_is_the_list_that_json_makes_of_it():
    assert differences({"a": [1, [2, 3]]}, {"a": (1, (2, 3))}) == []


def test_value_whatever_a_checkpoint_holds_stays_short():
    nested = json.loads('{"a":' * 900 + "1" + "}" * 900)
    (line,) = differences(nested, {})
    assert line.endswith("was (nested too deeply), now (absent)")
    assert len(line) < 100
    many = differences({str(n): "x" * 10_000 for n in range(1000)}, {})
    assert len(many) == 51
    assert many[-1] == "and 950 more values"
    assert max(map(len, many)) < 300
