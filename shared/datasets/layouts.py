"""The three ways in which published data sets lay out their files: lists of names, lists of pairs, pairs of folders."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.datasets.base import Record
from shared.datasets.files import IMAGE_SUFFIXES, walk_files, what_is_in
from shared.datasets.list_file import read_lines, read_list
from shared.errors import DataError, EntriesError


@dataclass(frozen=True)
class Split:
    """A part of a published data set, for messages.

    Attributes:
        dataset: the type's name in configs.
        name: ``train``, ``val``, ...
        root: absolute ``dataset_root``.
        expected: the files it consists of, as patterns below ``root``.
        cure: what to do where they are not there; ends the sentence.
    """

    dataset: str
    name: str
    root: str
    expected: str
    cure: str

    def lacks(self, path: str) -> DataError:
        """The error for a missing or empty file or folder, given below ``root``."""
        return DataError(
            f"dataset_root {self.root} lacks the {self.dataset} split {self.name!r}: expected {self.expected}, but "
            f"{what_is_in(os.path.join(self.root, path))}. {self.cure}"
        )

    def mismatch(self, problems: Sequence[str], good: Sequence[Record]) -> EntriesError:
        """The error for files that are listed and not there, or have no partner; ``good`` are the others."""
        cure = f"{self.cure[0].lower()}{self.cure[1:]}"
        return EntriesError(f"{self.dataset} in {self.root}: images and labels do not match; {cure}", problems, good)


def records_of_names(split: Split, image_folder: str, lists: Mapping[str, str]) -> list[Record]:
    """The pairs ``<image_folder>/<name>.jpg`` and ``<label folder>/<name>.png`` of the names in lists, one a line.

    Args:
        split: whose files these are; all paths are given below its root.
        image_folder: of the images.
        lists: each list's path -> the folder of its labels.

    Raises:
        DataError: a list is missing or empty, or files of it are; all of these files together.
    """
    records: list[Record] = []
    problems: list[str] = []
    for list_path, label_folder in lists.items():
        path = os.path.join(split.root, list_path)
        if not os.path.isfile(path):
            raise split.lacks(list_path)
        found = []
        for number, name in read_lines(path):
            pair = [f"{image_folder}/{name}.jpg", f"{label_folder}/{name}.png"]
            image, label = (os.path.join(split.root, file) for file in pair)
            missing = [file for file in pair if not os.path.isfile(os.path.join(split.root, file))]
            problems += [f"{list_path}:{number}: {file} does not exist" for file in missing]
            found.append(None if missing else Record(image, label, f"{path}:{number}"))
        records += [record for record in _not_empty(split, list_path, found) if record is not None]
    return _whole(split, records, problems)


def records_of_list(split: Split, list_path: str, separator: str | None, labels_optional: bool = False) -> list[Record]:
    """The pairs of a list file below ``split.root``; :func:`shared.datasets.list_file.read_list` says how it is read.

    Raises:
        DataError: as :func:`records_of_names`.
    """
    path = os.path.join(split.root, list_path)
    if not os.path.isfile(path):
        raise split.lacks(list_path)
    records, problems = read_list(path, split.root, separator, labels_optional)
    return _whole(split, records if problems else _not_empty(split, list_path, records), problems)


def records_of_folders(split: Split, image_folder: str, label_folder: str, label_ending: str = "") -> list[Record]:
    """The pairs of two folders below ``split.root``, by their path below the folder without the extension.

    Args:
        split: whose files these are.
        image_folder: of the images.
        label_folder: of the labels.
        label_ending: what a label's name may have behind the image's; where one label has it, only such are taken.

    Raises:
        DataError: a folder is missing or empty, or a file has no partner; all of these together.
    """
    problems: list[str] = []
    images = _stems_or_error(split, image_folder, problems)
    labels = _stems_or_error(split, label_folder, problems)
    if label_ending:
        marked = {stem[: -len(label_ending)]: path for stem, path in labels.items() if stem.endswith(label_ending)}
        labels = marked or labels
    problems += pairing_problems(images, labels)
    return _whole(split, paired(images, labels), problems)


def files_by_stem(folder: str, problems: list[str]) -> dict[str, str]:
    """Path below ``folder`` without extension -> absolute path, for every image file; equal names are problems."""
    found: dict[str, str] = {}
    for name in walk_files(folder):
        stem, suffix = os.path.splitext(name)
        if suffix.lower() not in IMAGE_SUFFIXES:
            continue
        path = os.path.join(folder, name)
        if stem in found:
            problems.append(f"{path}: has the same name as {found[stem]}")
        else:
            found[stem] = path
    return found


def pairing_problems(images: dict[str, str], labels: dict[str, str]) -> list[str]:
    """A sentence for each file of :func:`files_by_stem` without a partner."""
    alone = [f"{path}: image without a label" for stem, path in images.items() if stem not in labels]
    return alone + [f"{path}: label without an image" for stem, path in labels.items() if stem not in images]


def paired(images: dict[str, str], labels: dict[str, str]) -> list[Record]:
    """The files of :func:`files_by_stem` that have a partner."""
    return [Record(path, labels[stem], path) for stem, path in images.items() if stem in labels]


def _stems_or_error(split: Split, folder: str, problems: list[str]) -> dict[str, str]:
    path = os.path.join(split.root, folder)
    found = files_by_stem(path, problems) if os.path.isdir(path) else {}
    if not found:
        raise split.lacks(folder)
    return found


def _not_empty(split: Split, list_path: str, records: list[Record | None]) -> list[Record | None]:
    if not records:
        path = os.path.join(split.root, list_path)
        raise DataError(f"{path} lists no image; expected {split.expected}. {split.cure}")
    return records


def _whole(split: Split, records: list[Record], problems: list[str]) -> list[Record]:
    if problems:
        raise split.mismatch(problems, records)
    return records
