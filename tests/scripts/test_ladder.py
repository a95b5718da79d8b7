"""The ladder's comparisons against numbers by hand, and the page it writes."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from scripts.ladder.bits import Both, compare, compare_all, incomparable
from scripts.ladder.charts import share
from scripts.ladder.page import page
from scripts.ladder.report import Report, line
from scripts.ladder.rung import RUNGS, Rung, first_red


@pytest.mark.parametrize(
    ("one", "other", "ulps"),
    [
        (1.0, 1.0 + 2**-23, 1),
        (1.0, 1.0 - 2**-24, 1),  # below a power of two the numbers lie twice as close
        (1.0, 2.0, 2**23),
        (2.0**-149, -(2.0**-149), 2),  # the smallest numbers on either side of zero
        (0.0, 2.0**-149, 1),
    ],
)
def test_value_ulps_of_float32(one, other, ulps):
    found = compare("x", np.float32([7, one]), np.float32([7, other]))
    assert (found.ulps, found.differing, found.size) == (ulps, 1, 2)
    assert found.absolute == abs(one - other)
    assert not found.equal


def test_value_equal_and_incomparable():
    assert compare("x", np.float32([np.nan, 0.0]), np.float32([np.nan, -0.0])).equal
    assert not compare("x", np.float32([np.nan]), np.float32([1])).equal
    assert compare("x", np.int64([3, 9]), np.int64([3, 5])).ulps == 4
    assert compare("x", np.zeros(2, np.float32), np.zeros(3, np.float32)).ulps == -1
    assert compare("x", np.zeros(2, np.float32), np.zeros(2, np.float64)).ulps == -1
    found = compare_all({"a": np.zeros(1), "b": np.zeros(1)}, {"c": np.zeros(1), "b": np.zeros(1)})
    assert [(one.name, one.equal) for one in found] == [("a", False), ("b", True), ("c", False)]


def test_value_bars_grow_with_the_distance():
    near, far = (compare("x", np.float32([1]), np.float32([value])) for value in (1 + 2**-20, 1.5))
    assert 0 == share(compare("x", np.zeros(1), np.zeros(1))) < share(near) < share(far) < share(incomparable("x", ""))


def _report(bad: bool) -> Report:
    layers = [compare(f"block.{i}", np.float32([1]), np.float32([1 + (bad and i >= 2) * 2**-20])) for i in range(5)]
    layers.append(compare("<script>alert(1)</script>", np.float32([1]), np.float32([1])))
    rungs = [Rung("samples", [compare("batch", np.zeros(2), np.zeros(2))]), Rung("layers, evaluation", layers)]
    rungs.append(Rung("evaluation", left_out="no <val_dataset>"))
    return Report("Net & <b>", rungs, Both([2.0, 1.0, float("nan")], [2.0, 1.5, 1.0]), {"config": "a<b>.yml"})


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.open, self.links = set(), [], []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value for key, value in attrs if key in ("src", "href")]
        if tag not in ("meta", "br", "line", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("bad", [False, True])
def test_value_the_page_is_whole_and_alone(bad):
    text = page(_report(bad))
    parsed = _Page()
    parsed.feed(text.replace("/>", ">"))
    assert parsed.open == []
    assert parsed.links == []
    assert "http" not in text
    assert not parsed.tags & {"script", "link", "img"}
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "Net &amp; &lt;b&gt;" in text
    assert "a&lt;b&gt;.yml" in text
    assert "no &lt;val_dataset&gt;" in text
    assert ("Different" in text) is bad
    assert ("block.2" in re.sub(r"<title>.*?</title>", "", text)) is bad
    assert len(re.findall(r'<rect class="other"', text)) == (3 if bad else 0)


def test_value_verdict_names_the_first_difference():
    report = _report(bad=True)
    assert first_red(report.rungs).first.name == "block.2"
    assert "“layers, evaluation”, in block.2" in report.verdict()
    assert "3" in line(report.rungs[1])
    assert "left out: evaluation" in _report(bad=False).verdict()
    assert set(RUNGS) >= {rung.name for rung in report.rungs}
