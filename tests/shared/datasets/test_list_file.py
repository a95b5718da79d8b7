"""List files: every spelling people use, and what is said about the lines that cannot be used."""

from __future__ import annotations

import pytest

from shared.datasets.list_file import read_list
from shared.errors import DataError


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "a_label.png", "b.png", "b_label.png", "my street.png", "my label.png", "straße.png"):
        (tmp_path / name).touch()
    return tmp_path


def read(folder, data: bytes, separator=None, labels_optional=False):
    path = folder / "train.txt"
    path.write_bytes(data)
    records, problems = read_list(str(path), str(folder), separator, labels_optional)
    names = [
        (r.image[len(str(folder)) + 1 :], r.label and r.label[len(str(folder)) + 1 :], r.origin.rpartition(":")[2])
        for r in records
    ]
    return names, problems


@pytest.mark.parametrize(
    ("data", "separator"),
    [
        (b"a.png a_label.png\nb.png b_label.png\n", None),
        (b"a.png a_label.png\nb.png b_label.png", " "),
        (b"a.png\ta_label.png\r\nb.png\tb_label.png\r\n", None),
        (b"\xef\xbb\xbfa.png   a_label.png \nb.png b_label.png", None),
        (b"a.png,a_label.png\nb.png, b_label.png\n", ","),
        (b"a.png\ta_label.png\nb.png b_label.png\n", None),
    ],
    ids=["spaces", "space-asked-for", "tabs-crlf", "bom-wide-gap", "comma", "mixed"],
)
def test_value_two_columns(folder, data, separator):
    names, problems = read(folder, data, separator)
    assert problems == []
    assert names == [("a.png", "a_label.png", "1"), ("b.png", "b_label.png", "2")]


def test_value_blank_lines_and_comments_are_skipped_and_lines_keep_their_numbers(folder):
    names, problems = read(folder, b"# image label\n\n  \na.png a_label.png\n")
    assert (names, problems) == ([("a.png", "a_label.png", "4")], [])


@pytest.mark.parametrize("separator", [None, " "])
def test_value_spaces_in_paths_are_split_where_files_exist(folder, separator):
    names, problems = read(folder, b"my street.png my label.png\na.png my label.png\n", separator)
    assert problems == []
    assert names == [("my street.png", "my label.png", "1"), ("a.png", "my label.png", "2")]


def test_value_non_ascii_and_absolute_paths(folder):
    names, problems = read(folder, f"straße.png {folder}/a_label.png".encode())
    assert (names, problems) == ([("straße.png", "a_label.png", "1")], [])


def test_value_images_alone_where_labels_are_optional(folder):
    names, problems = read(folder, b"a.png\nmy street.png\nb.png b_label.png\n", labels_optional=True)
    assert problems == []
    assert names == [("a.png", None, "1"), ("my street.png", None, "2"), ("b.png", "b_label.png", "3")]


@pytest.mark.parametrize(
    ("line", "separator", "labels_optional", "parts"),
    [
        (b"a.png", None, False, ["expected two columns", "found one", "'a.png'"]),
        (b"a.png\ta_label.png", " ", False, ["found one", "it has a tab", "separator"]),
        (b"a.png\ta_label.png\tx", None, False, ["found 3"]),
        (b"nope.png a_label.png", None, False, ["image ", "nope.png does not exist", "'nope.png a_label.png'"]),
        (b"a.png nope.png", None, False, ["label ", "nope.png does not exist"]),
        (b"no.png nope.png", None, False, ["image ", " and label ", "do not exist"]),
        (b"no no.png no.png", None, False, ["none of the 2 ways"]),
        (b"my street.png my lost.png", None, False, ["label ", "my lost.png does not exist"]),
        (b"nope.png", None, True, ["image ", "nope.png does not exist"]),
    ],
)
def test_error_a_bad_line_is_reported_with_its_place_and_text(folder, line, separator, labels_optional, parts):
    names, problems = read(folder, b"\n" + line + b"\n", separator, labels_optional)
    assert names == []
    (problem,) = problems
    assert problem.startswith(f"{folder / 'train.txt'}:2: ")
    for part in parts:
        assert part in problem


def test_error_a_list_that_is_no_text_or_not_there(folder):
    with pytest.raises(DataError, match=r"train\.txt:2: the line is not UTF-8.*save the list as UTF-8"):
        read(folder, "a.png a_label.png\nstraße.png a_label.png".encode("latin-1"))
    with pytest.raises(DataError, match=r"lost\.txt cannot be read"):
        read_list(str(folder / "lost.txt"), str(folder), None, False)
