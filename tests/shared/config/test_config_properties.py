"""A config of whatever values is either read or refused with all findings: never a traceback."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import dygraph.build  # noqa: F401 - fills the registries the configs are checked against
from shared.config.eager import load_run_config
from shared.config.run_config import RunConfig
from shared.errors import ConfigError, UserError

GOOD = {
    "batch_size": 2,
    "iters": 2,
    "train_dataset": {
        "type": "Dataset",
        "dataset_root": "data",
        "train_path": "train.txt",
        "num_classes": 3,
        "transforms": [{"type": "RandomPaddingCrop", "crop_size": [32, 32]}, {"type": "Normalize"}],
    },
    "model": {"type": "FCN", "backbone": {"type": "HRNet_W18_Small_V1"}},
    "optimizer": {"type": "sgd", "momentum": 0.9},
    "lr_scheduler": {"type": "PolynomialDecay", "learning_rate": 0.01, "end_lr": 0, "power": 0.9},
    "loss": {"types": [{"type": "CrossEntropyLoss"}], "coef": [1]},
    "test_config": {"aug_eval": True, "scales": [1.0]},
}
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 10**12), st.floats(), st.text(max_size=8), st.just("FCN"), st.just([])
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["type", "coef", "mode", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def _places(tree, path=()):
    """Paths to every value of a tree."""
    if path:
        yield path
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield from _places(value, (*path, key))


def _load(tree) -> RunConfig:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.yml")
        path.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
        return load_run_config(str(path))


def test_value_the_good_config_is_read():
    assert _load(GOOD).model.type == "FCN"


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from(sorted(_places(GOOD), key=str)), ANYTHING), min_size=1, max_size=3))
def test_value_replaced_values_are_read_or_refused(changes):
    tree = copy.deepcopy(GOOD)
    for path, value in changes:
        here = tree
        try:
            for key in path[:-1]:
                here = here[key]
            here[path[-1]] = value
        except (KeyError, IndexError, TypeError):  # an earlier change took the place away
            continue
    try:
        outcome = _load(tree)
    except UserError as error:
        outcome = str(error)
    assert isinstance(outcome, (RunConfig, str))
    assert outcome


@pytest.mark.parametrize("path", [path for path in _places(GOOD) if isinstance(path[-1], str)], ids=str)
def test_error_a_misspelt_key_names_the_right_one(path):
    tree = copy.deepcopy(GOOD)
    here = tree
    for key in path[:-1]:
        here = here[key]
    here[f"{path[-1]}q"] = here.pop(path[-1])
    with pytest.raises(ConfigError) as caught:
        _load(tree)
    assert path[-1] in str(caught.value)
