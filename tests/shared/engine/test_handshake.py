"""Ranks that were not given the same run find out, and are told what differs."""

from __future__ import annotations

import pytest

from shared.datasets.base import Record
from shared.engine.handshake import compare, config_facts, file_facts
from shared.engine.ranks import Alone
from shared.errors import MachineError
from tests.shared.engine.test_data import folder  # noqa: F401 - a fixture
from tests.shared.engine.test_train import config  # noqa: F401 - a fixture


class Said(Alone):
    """A rank that hears these facts from the others."""

    def __init__(self, *others: dict[str, str]) -> None:
        super().__init__()
        self.others = others

    def gather(self, value):
        return [value, *self.others]


class Files(list):
    """A data set of these records."""

    records = property(lambda self: list(self))


def files(*names: str, root: str = "/data") -> Files:
    return Files(Record(f"{root}/img/{name}.png", f"{root}/lab/{name}.png", "train.txt:1") for name in names)


def test_value_equal_facts_pass():
    compare(Said({"a": "1"}, {"a": "1"}), {"a": "1"})


def test_error_names_rank_key_and_values():
    with pytest.raises(MachineError) as error:
        compare(Said({"a": "1", "b": "2"}, {"a": "3"}), {"a": "1", "b": "2"})
    assert error.value.exit_code == 2
    assert "a: rank 0 has 1, rank 2 has 3" in str(error.value)
    assert "b: rank 0 has 2, rank 2 has (absent)" in str(error.value)
    assert "rank 1" not in str(error.value)


def test_error_at_most_ten_are_listed():
    facts = {f"key{i:02d}": "0" for i in range(14)}
    with pytest.raises(MachineError, match="and 4 more") as error:
        compare(Said(dict.fromkeys(facts, "1")), facts)
    assert str(error.value).count("rank 1 has 1") == 10


def test_value_config_facts_by_dotted_key(config):  # noqa: F811
    facts = config_facts(config, "eager", {"paddle": "3.3.1"})
    assert facts["mode"] == "eager"
    assert facts["version of paddle"] == "3.3.1"
    assert facts["train.batch_size"] == str(config.train.batch_size)
    other = config_facts(config.replace(num_classes=99, source="elsewhere.yml"), "eager", {"paddle": "3.3.1"})
    assert {key for key in facts if facts[key] != other[key]} == {"num_classes"}


def test_value_file_lists_are_compared_wherever_they_lie():
    here, there = file_facts(files("a", "b"), "train"), file_facts(files("a", "b", root="/mnt/x"), "train")
    assert here == there
    assert here["train: number of images"] == "2"
    assert file_facts(files("b", "a"), "train") != here
    assert file_facts(files("a"), "train") != here
