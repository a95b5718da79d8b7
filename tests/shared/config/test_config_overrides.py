from __future__ import annotations

import pytest

from shared.config.overrides import apply_overrides, pairs_to_overrides, parse_opts
from shared.config.yaml_file import ConfigTree
from shared.errors import ConfigError


def tree():
    values = {"a": {"x": 1}, "l": [{"p": 1}, {"p": 2}], "s": 3, "iters": 10, "n": None}
    return ConfigTree(values, {"a.x": "f", "l": "f", "s": "f", "iters": "f", "n": "f"})


def test_value_opts_are_yaml():
    opts = ["a.b=5", "c=[1,0.4]", "d=1e-4", "e=text", "f=null", "g={x: 1}", "h=a=b", "i=", " j =true"]
    assert parse_opts(opts) == {
        "a.b": 5,
        "c": [1, 0.4],
        "d": 1e-4,
        "e": "text",
        "f": None,
        "g": {"x": 1},
        "h": "a=b",
        "i": None,
        "j": True,
    }


def test_error_opts_are_reported_together():
    with pytest.raises(ConfigError) as caught:
        parse_opts(["ok=1", "novalue", "=3", "a..b=1", "x=[1"])
    assert [p.split(":")[0] for p in caught.value.problems] == ["novalue", "=3", "a..b=1", "x"]
    assert "command line" in str(caught.value)


def test_value_pairs():
    assert pairs_to_overrides(["model.num_classes", "5", "x", "[1, 2]"]) == {"model.num_classes": 5, "x": [1, 2]}
    with pytest.raises(ConfigError, match="x: a KEY VALUE override without its value"):
        pairs_to_overrides(["a", "1", "x"])


def test_value_overrides_reach_mappings_lists_and_new_keys():
    t = tree()
    assert apply_overrides(t, {"a.x": 2, "l.1.p": 5, "a.new.deep": 1, "n.k": 1, "s": [7]}) == []
    assert t.values["a"] == {"x": 2, "new": {"deep": 1}}
    assert t.values["l"] == [{"p": 1}, {"p": 5}]
    assert t.values["n"] == {"k": 1}
    assert t.values["s"] == [7]
    assert t.origins["l"] == "f"
    assert {k for k, o in t.origins.items() if o == "command line"} == {"a.x", "l.1.p", "a.new.deep", "n.k", "s"}


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("l.2.p", "l.2.p: l has 2 entries; expected a number from 0 to 1, got 2"),
        ("l.first.p", "l.first.p: l is a list; expected a number from 0 to 1 after it, got 'first'"),
        ("s.x", "s.x: s is 3 and has no parts; set s itself"),
    ],
)
def test_error_keys_that_lead_nowhere(key, problem):
    t = tree()
    assert apply_overrides(t, {key: 1}) == [problem]
    assert t.values == tree().values


def test_value_epochs_on_the_command_line_replace_the_files_iters():
    t = tree()
    assert apply_overrides(t, {"epochs": 3}) == []
    assert t.values["epochs"] == 3
    assert "iters" not in t.values
    assert "iters" not in t.origins


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"lr_scheduler": {"learning_rate": 1.0}}, {"lr_scheduler": {"learning_rate": 0.5}}),
        ({"learning_rate": {"value": 1.0}}, {"learning_rate": {"value": 0.5}}),
        ({"learning_rate": 1.0}, {"learning_rate": 0.5}),
    ],
)
def test_value_learning_rate_reaches_either_spelling(values, expected):
    t = ConfigTree(values, {})
    assert apply_overrides(t, {"learning_rate": 0.5}) == []
    assert t.values == expected
