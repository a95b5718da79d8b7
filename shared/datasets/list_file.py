"""List files: one ``image label`` pair a line, the form in which most data sets are handed over.

>>> list(split_ways("a b.png c d.png", None))
[('a', 'b.png c d.png'), ('a b.png', 'c d.png'), ('a b.png c', 'd.png')]
>>> list(split_ways("a b.png\\tc d.png", None))
[('a b.png', 'c d.png')]
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from shared.datasets.base import Record
from shared.datasets.files import absolute
from shared.errors import DataError


def read_list(path: str, root: str, separator: str | None, labels_optional: bool) -> tuple[list[Record], list[str]]:
    """Read a list file.

    UTF-8 with or without BOM, any line ending; blank lines and lines beginning with ``#`` are skipped. Paths are
    relative to ``root`` or absolute and must exist.

    Args:
        path: the list file.
        root: the folder its relative paths begin at.
        separator: what stands between the two columns. None: a tab where the line has one, else spaces. Where a
            line has several spaces, the split is the one whose two files exist.
        labels_optional: accept lines with an image alone.

    Returns:
        The good entries in order, and one sentence (``list.txt:line: finding: text``) per bad line.

    Raises:
        DataError: the list itself cannot be read.
    """
    records: list[Record] = []
    problems: list[str] = []
    for number, text in read_lines(path):
        origin = f"{path}:{number}"
        finding = _read_line(text, root, separator, labels_optional)
        if isinstance(finding, str):
            problems.append(f"{origin}: {finding}; the line is {text!r}")
        else:
            records.append(Record(finding[0], finding[1], origin))
    return records, problems


def read_lines(path: str) -> Iterator[tuple[int, str]]:
    """Number and text of every line that says something: UTF-8, no blank lines, no comments. DataError else."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise DataError(f"the list {path} cannot be read: {error.strerror}") from error
    for number, raw in enumerate(data.splitlines(), start=1):
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError:
            raise DataError(f"{path}:{number}: the line is not UTF-8 ({raw!r}); save the list as UTF-8") from None
        if text and not text.startswith("#"):
            yield number, text


def split_ways(text: str, separator: str | None) -> Iterator[tuple[str, ...]]:
    """Every way to read a line as columns: many for spaces, one for any other separator."""
    if separator is None:
        separator = "\t" if "\t" in text else " "
    if separator == " ":
        for gap in re.finditer(" +", text):
            yield text[: gap.start()], text[gap.end() :]
    elif separator in text:
        yield tuple(column.strip() for column in text.split(separator))


def _read_line(text: str, root: str, separator: str | None, labels_optional: bool) -> tuple[str, str | None] | str:
    """The absolute paths of a line's image and label, or the sentence that says what is wrong with it."""
    ways = list(split_ways(text, separator))
    if labels_optional and (not ways or os.path.isfile(absolute(text, root))):
        image = absolute(text, root)
        return (image, None) if os.path.isfile(image) else f"image {image} does not exist"
    if not ways:
        hint = "; it has a tab: set separator to '\\t', or leave it out" if "\t" in text else ""
        return f"expected two columns, image and label, separated by {separator or ' '!r}, found one{hint}"
    if len(ways) == 1 and len(ways[0]) != 2:
        return f"expected two columns, image and label, found {len(ways[0])}"
    pairs = [(absolute(image, root), absolute(label, root)) for image, label in ways]
    found = [(os.path.isfile(image), os.path.isfile(label)) for image, label in pairs]
    best = max(range(len(pairs)), key=lambda way: sum(found[way]))
    if all(found[best]):
        return pairs[best]
    if len(pairs) > 1 and not any(found[best]):
        return f"none of the {len(pairs)} ways to split it at a space gives files that exist below {root}"
    missing = [f"{kind} {pair}" for kind, pair, there in zip(("image", "label"), pairs[best], found[best]) if not there]
    return " and ".join(missing) + (" does not exist" if len(missing) == 1 else " do not exist")
