"""Lists of any names come back as they were written, whatever the editor did to the line ends."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.datasets.list_file import read_list
from shared.errors import DataError

LETTERS = st.characters(blacklist_categories=("C", "Z"), blacklist_characters="/\\#")
NAMES = st.text(LETTERS, min_size=1, max_size=12).filter(lambda name: name not in (".", "..") and name == name.strip())
CHECKED = settings(max_examples=60, deadline=None, derandomize=True)


def _written(folder: Path, names: list[tuple[str, str]], separator: str, start: bytes, end: str) -> Path:
    for pair in names:
        for name in pair:
            (folder / name).write_bytes(b"")
    path = folder / "the list of files"
    path.write_bytes(start + "".join(f"{image}{separator}{label}{end}" for image, label in names).encode())
    return path


@CHECKED
@given(
    st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=5),
    st.sampled_from(["\t", " "]),
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
    st.sampled_from(["\n", "\r\n", "\n\n"]),
)
def test_value_what_was_written_is_read(names, separator, start, end):
    with tempfile.TemporaryDirectory() as folder:
        path = _written(Path(folder), names, separator, start, end)
        records, problems = read_list(str(path), folder, None, labels_optional=False)
    assert problems == []
    assert [(record.image, record.label) for record in records] == [
        (str(Path(folder, image)), str(Path(folder, label))) for image, label in names
    ]
    assert [record.origin for record in records] == [f"{path}:{1 + n * end.count(chr(10))}" for n in range(len(names))]


@CHECKED
@given(st.binary(max_size=200))
def test_value_bytes_of_any_kind_are_judged(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "list.txt")
        path.write_bytes(content)
        try:
            content.decode("utf-8")
        except UnicodeDecodeError:
            with pytest.raises(DataError, match="not UTF-8"):
                list(read_list(str(path), folder, None, labels_optional=False))
            return
        records, problems = read_list(str(path), folder, None, labels_optional=False)
    lines = [line for line in content.splitlines() if line.strip()]
    assert len(records) + len(problems) <= len(lines)
    assert all(problem.startswith(f"{path}:") for problem in problems)
