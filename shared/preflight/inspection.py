"""The one look at the data of a run that both modes and the check commands take."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from shared.config.run_config import SKIP, DatasetConfig, RunConfig
from shared.datasets.base import Record, SegmentationDataset
from shared.engine.data import build_dataset
from shared.errors import DataError, EntriesError
from shared.preflight.entries import Look, class_pixels, look_at_all
from shared.preflight.findings import LOSS, Finding, Report, SplitSummary
from shared.preflight.splits import images_in_both
from shared.reading.broken import too_many
from shared.reading.sampler import TrainSampler
from shared.registry import DATASETS

SAMPLED = 16
_COMPARED = 64
TRAIN, VAL = "train_dataset", "val_dataset"


def inspect(
    run: RunConfig,
    sections: Sequence[str] = (TRAIN, VAL),
    most: int | None = None,
    show_progress: bool = False,
    cards: int = 1,
    head_problems: Callable[[RunConfig], Sequence[str]] | None = None,
) -> Report:
    """List the data sets of a run, decode their entries and judge what is there, and whether losses and network fit.

    Args:
        run: whose ``train_data`` and ``val_data`` are looked at.
        sections: which of the two; one that the run does not have is passed over.
        most: decode this many entries of each, evenly spread, and look for equal images among few files only. What
            holds of a whole set alone (classes that do not occur) is not judged then. None: every entry.
        show_progress: a bar for each section on stderr.
        cards: processes that share a batch, for the number of images that one needs.
        head_problems: gives sentences about losses that do not fit the network; None: they are not looked at.

    An entry that is wrong is an error; with ``on_bad_sample: skip`` a warning, unless there are too many of them.

    Raises:
        ConfigError: a data set refuses its arguments. What is wrong with data is not raised but reported.
    """
    report = Report()
    for name, section in ((TRAIN, run.train_data), (VAL, run.val_data)):
        if name not in sections or section is None:
            continue
        dataset = _listed(section, name, report)
        if dataset is None:
            continue
        report.datasets[name] = dataset
        if name == TRAIN:
            _check_fills_a_batch(run, dataset, cards, report)
        records = _spread(dataset.records, most)
        looks = look_at_all(records, dataset, name, show_progress)
        wrong = [(record, look.error) for record, look in zip(records, looks) if look.error]
        is_error = run.reader.on_bad_sample != SKIP or too_many(len(wrong), len(records))
        report.findings += [Finding(error.cause, _located(record, error), name, is_error) for record, error in wrong]
        counts = class_pixels(looks, dataset)
        names = [str(class_name) for class_name in dataset.class_names]
        report.splits[name] = SplitSummary(len(dataset), len(records), names, counts.tolist())
        _judge_as_a_whole(name, dataset, records, looks, counts, report)
    if head_problems is not None:
        report.findings += [Finding("heads", problem, LOSS) for problem in head_problems(run)]
    if len(report.datasets) == 2:
        _compare(report, None if most is None else _COMPARED)
    return report


def _listed(section: DatasetConfig, name: str, report: Report) -> SegmentationDataset | None:
    """The data set, or what of it is in order, or None; what is wrong with the list is reported."""
    try:
        return build_dataset(section, name)
    except EntriesError as error:
        report.findings += [Finding(error.cause, problem, name) for problem in error.problems]
        return _rest(section, error)
    except DataError as error:
        report.findings.append(Finding(error.cause, str(error), name))
        return None


def _rest(section: DatasetConfig, error: EntriesError) -> SegmentationDataset | None:
    """A data set of the entries that are in order, None where none is."""
    kind, args = DATASETS[section.dataset.type], section.dataset.args
    rest = SegmentationDataset()
    rest.records = error.good
    rest.num_classes = args.get("num_classes", getattr(kind, "num_classes", None))
    rest.ignore_index = args.get("ignore_index", kind.ignore_index)
    rest.label_map = kind.label_map
    known = error.class_names or getattr(kind, "class_names", None)
    rest.class_names = known or [f"class {i}" for i in range(rest.num_classes)]
    return rest if error.good else None


def _located(record: Record, error: DataError) -> str:
    """The sentence, with the list's line before it where the entry stands in a list and it does not say so itself."""
    listed = record.origin != record.image and record.origin not in str(error)
    return f"{record.origin}: {error}" if listed else str(error)


def _check_fills_a_batch(run: RunConfig, dataset: SegmentationDataset, cards: int, report: Report) -> None:
    each = run.train.batch_size // cards if run.train.batch_is_global else run.train.batch_size
    try:
        TrainSampler(len(dataset), max(each, 1), seed=0, world=cards)
    except DataError as error:
        report.findings.append(Finding("few", str(error), TRAIN))


def _spread(records: Sequence[Record], most: int | None) -> Sequence[Record]:
    if most is None or len(records) <= most:
        return records
    return [records[i] for i in np.unique(np.linspace(0, len(records) - 1, most).astype(int))]


def _judge_as_a_whole(
    name: str,
    dataset: SegmentationDataset,
    records: Sequence[Record],
    looks: Sequence[Look],
    counts: np.ndarray,
    report: Report,
) -> None:
    is_complete = len(records) == len(dataset)
    masks = [record for record, look in zip(records, looks) if look.is_mask_of_ignored]
    if masks and dataset.ignore_index == 255:
        # In a binary set without any pixel of the other class there is nothing to learn; else it may be right.
        is_certain = is_complete and dataset.num_classes == 2 and counts[1] == 0
        report.findings.append(
            Finding(
                "mask",
                f"{name}: {len(masks)} of {len(looks)} labels hold 0 and 255 alone ({masks[0].label}"
                f"{', ...' if len(masks) > 1 else ''}), and 255 is ignore_index: if they are masks, all of their "
                "foreground would be ignored; replace 255 by the class, e.g. label = label // 255",
                name,
                is_error=is_certain,
            )
        )
    elif is_complete and any(look.error is None for look in looks):
        absent = [str(label) for label, count in zip(dataset.class_names, counts) if count == 0]
        if absent:
            message = f"{name} has no pixel of {', '.join(absent)}"
            report.findings.append(Finding("absent", message, name, is_error=False))


def _compare(report: Report, most_compared: int | None) -> None:
    pairs = images_in_both(report.datasets[TRAIN].records, report.datasets[VAL].records, most_compared)
    for ours, other in pairs:
        message = (
            f"{ours.image} ({ours.origin}) is an image of training too ({other.image}, {other.origin}): scores on it "
            "say nothing about new images; take it out of one of the two"
        )
        report.findings.append(Finding("twice", message, VAL, is_error=False))
