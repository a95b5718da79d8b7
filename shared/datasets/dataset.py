"""``Dataset``: any set of image and label files, from list files or from a pair of folders."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from shared.datasets.base import Record, SegmentationDataset
from shared.datasets.files import IMAGE_SUFFIXES, absolute, check_mode, what_is_in
from shared.datasets.layouts import files_by_stem, paired, pairing_problems
from shared.datasets.list_file import read_list
from shared.errors import DataError, EntriesError
from shared.registry import DATASETS

logger = logging.getLogger(__name__)


@DATASETS.register()
class Dataset(SegmentationDataset):
    """Image and label files of one's own. Every file is looked for at construction; none is opened.

    Args:
        dataset_root: the folder that relative paths begin at.
        num_classes: labels are in ``0..num_classes-1`` or ``ignore_index``; 1 to 256.
        mode: ``train``, ``val``, ``trainval`` (both lists) or ``test`` (labels may be missing).
        train_path, val_path, test_path: list files, see :mod:`shared.datasets.list_file`; relative to the working
            directory or to ``dataset_root``.
        separator: between the two columns of a list; None: a tab if the line has one, else spaces.
        ignore_index: 0 to 255.
        img_channels: 3; other counts are refused.
        image_dir, label_dir: instead of lists: two folders whose files are paired by their path below the folder
            without the extension. ``label_dir`` may be left out in mode ``test``.
        class_names: a list, or a text file with one name a line. Default: ``classes.txt`` beside the list (with
            folders: in ``dataset_root``) where it fits, else ``class 0``, ``class 1``, ...

    Raises:
        DataError: a list, folder or listed file is missing or wrong; all findings are reported together.
        ValueError: arguments that contradict each other or are out of range.
    """

    def __init__(
        self,
        dataset_root: str,
        num_classes: int,
        mode: str = "train",
        train_path: str | None = None,
        val_path: str | None = None,
        test_path: str | None = None,
        separator: str | None = None,
        ignore_index: int = 255,
        img_channels: int = 3,
        image_dir: str | None = None,
        label_dir: str | None = None,
        class_names: Sequence[str] | str | None = None,
    ) -> None:
        check_mode(mode)
        _check_numbers(num_classes, ignore_index, img_channels)
        if separator == "":
            raise ValueError("separator is empty; leave it out, or give the text between the two columns")
        self.mode = mode
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.root = absolute(dataset_root)
        if not os.path.isdir(self.root):
            raise DataError(f"dataset_root {self.root} is not a folder: {what_is_in(self.root)}")
        lists = {"train": train_path, "val": val_path, "test": test_path}
        if image_dir is not None or label_dir is not None:
            if any(lists.values()):
                raise ValueError("both list files and image_dir/label_dir are given; expected one of the two")
            self.records, problems = self._from_folders(image_dir, label_dir)
            headline = f"the files of {image_dir} and {label_dir} below {self.root} do not pair by name"
            beside = self.root
        else:
            self.records, problems, beside = self._from_lists(lists, separator)
            headline = f"the data set below {self.root} cannot be used"
        try:
            self.class_names = self._names(class_names, beside)
        except DataError as error:
            if problems:
                raise EntriesError(headline, [*problems, str(error)], self.records) from error
            raise
        if problems:
            raise EntriesError(headline, problems, self.records, self.class_names)

    def _from_lists(self, lists: dict[str, str | None], separator: str | None) -> tuple[list[Record], list[str], str]:
        """The good entries, a sentence for each bad one, and the folder of the (last) list."""
        records: list[Record] = []
        problems: list[str] = []
        path = ""
        for split in ("train", "val") if self.mode == "trainval" else (self.mode,):
            given = lists[split]
            if not given:
                raise ValueError(
                    f"mode {self.mode!r} needs {split}_path (a list file), or image_dir and label_dir; neither is set"
                )
            path = self._find_list(given, f"{split}_path")
            found, wrong = read_list(path, self.root, separator, labels_optional=self.mode == "test")
            if not found and not wrong:
                raise DataError(f"{split}_path {path} lists no image; expected one 'image label' pair a line")
            records += found
            problems += wrong
        return records, problems, os.path.dirname(path)

    def _find_list(self, given: str, key: str) -> str:
        candidates = [os.path.expanduser(given), os.path.join(self.root, given)]
        for path in candidates:
            if os.path.isfile(path):
                return path
        looked = " and ".join(dict.fromkeys(os.path.abspath(path) for path in candidates))
        raise DataError(f"{key} {given!r} does not exist; looked for {looked}; {what_is_in(self.root)}")

    def _from_folders(self, image_dir: str | None, label_dir: str | None) -> tuple[list[Record], list[str]]:
        """The good entries, and a sentence for each file without a partner."""
        if image_dir is None or (label_dir is None and self.mode != "test"):
            raise ValueError(
                f"image_dir is {image_dir!r} and label_dir is {label_dir!r}; mode {self.mode!r} needs "
                + ("image_dir" if self.mode == "test" else "both")
            )
        problems: list[str] = []
        images = _by_stem(absolute(image_dir, self.root), "image_dir", problems)
        labels = {} if label_dir is None else _by_stem(absolute(label_dir, self.root), "label_dir", problems)
        if label_dir is None:
            return [Record(path, None, path) for path in images.values()], problems
        return paired(images, labels), problems + pairing_problems(images, labels)

    def _names(self, given: Sequence[str] | str | None, beside: str) -> list[str]:
        default = os.path.join(beside, "classes.txt")
        if given is None and not os.path.isfile(default):
            return [f"class {index}" for index in range(self.num_classes)]
        names = list(given) if given is not None and not isinstance(given, str) else self._read_names(given or default)
        if len(names) == self.num_classes:
            return [str(name) for name in names]
        message = f"{default if given is None else 'class_names'} has {len(names)} names, num_classes is "
        message += f"{self.num_classes}"
        if given is not None:
            raise DataError(f"{message}; give one name per class{f' in {given}' if isinstance(given, str) else ''}")
        logger.warning("%s: the names are not used; set class_names or correct num_classes", message)
        return [f"class {index}" for index in range(self.num_classes)]

    def _read_names(self, path: str) -> list[str]:
        found = self._find_list(path, "class_names")
        try:
            with open(found, encoding="utf-8-sig") as file:
                return [line.strip() for line in file if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"class_names {found} cannot be read as UTF-8 text: {error}") from error


def _check_numbers(num_classes: int, ignore_index: int, img_channels: int) -> None:
    for name, value, low, high in (("num_classes", num_classes, 1, 256), ("ignore_index", ignore_index, 0, 255)):
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"{name} is {value!r}; expected a whole number from {low} to {high} (labels are 8-bit)")
    if img_channels != 3:
        raise ValueError(f"img_channels is {img_channels!r}; only 3 is supported (grey images are read as 3 channels)")


def _by_stem(folder: str, key: str, problems: list[str]) -> dict[str, str]:
    """The image files of ``folder``, see :func:`files_by_stem`; DataError where there is none."""
    if not os.path.isdir(folder):
        raise DataError(f"{key} {folder} is not a folder: {what_is_in(folder)}")
    found = files_by_stem(folder, problems)
    if not found:
        raise DataError(f"{key} holds no image ({', '.join(sorted(IMAGE_SUFFIXES))}): {what_is_in(folder)}")
    return found
