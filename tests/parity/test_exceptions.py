"""The list of exceptions stays short, complete and in agreement with its page."""

from __future__ import annotations

import re

import pytest

from scripts.ladder.exceptions import EXCEPTIONS, FLOAT64_BOUND, MOST_EXCEPTIONS, ParityException
from scripts.ladder.rung import MEANING, RUNGS
from shared.registry import MODELS


def _table(page: str, heading: str) -> list[list[str]]:
    """The rows of the table under a heading."""
    section = page.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [re.split(r"\s*\|\s*", line.strip().strip("|").strip()) for line in section.splitlines() if "|" in line]
    return rows[2:]


def problems(exceptions: tuple[ParityException, ...], rows: list[list[str]]) -> list[str]:
    """What is wrong with a list of exceptions and the table that shows it."""
    found = [f"{len(exceptions)} exceptions, {MOST_EXCEPTIONS} at most"] if len(exceptions) > MOST_EXCEPTIONS else []
    for one in exceptions:
        found += [f"{one.network}: no such network"] if one.network not in MODELS else []
        found += [f"{one.network}: no operator or no cause"] if not (one.operator and one.cause) else []
        found += [f"{one.network}: bound {one.bound}"] if not 0 < one.bound <= FLOAT64_BOUND else []
    shown = [row for row in rows if row[0] != "none"]
    wanted = [[one.network, one.operator, one.cause, f"{one.bound:g}"] for one in exceptions]
    return found + ([f"the page shows {shown}, the list is {wanted}"] if shown != wanted else [])


def test_value_the_list_is_short_and_the_page_shows_it(root):
    page = (root / "docs" / "parity.md").read_text(encoding="utf-8")
    rows = _table(page, "Exceptions")
    assert rows, "the page has no table of exceptions"
    assert problems(EXCEPTIONS, rows) == []


@pytest.mark.parametrize(
    "wrong",
    [
        (ParityException("FCN", "conv2d", "another algorithm"),),  # not on the page
        (ParityException("FCN", "conv2d", ""),),
        (ParityException("FCN", "conv2d", "another algorithm", 1e-6),),
        (ParityException("Unknown", "conv2d", "another algorithm"),),
        (ParityException("FCN", "conv2d", "another algorithm"),) * (MOST_EXCEPTIONS + 1),
    ],
    ids=["not_shown", "no_cause", "wide", "no_network", "long"],
)
def test_value_a_wrong_list_is_noticed(wrong):
    rows = (
        []
        if wrong == (ParityException("FCN", "conv2d", "another algorithm"),)
        else [[one.network, one.operator, one.cause, f"{one.bound:g}"] for one in wrong]
    )
    assert problems(wrong, rows)


def test_value_the_page_names_every_rung_in_order(root):
    page = (root / "docs" / "parity.md").read_text(encoding="utf-8")
    assert [row[0] for row in _table(page, "The rungs")] == list(RUNGS) == list(MEANING)
