"""What a look at the data found, and how it is told: grouped by cause, as text or as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.datasets.base import SegmentationDataset
from shared.errors import DataError

#: Key of a cause -> how a report calls its findings. The sentences themselves come from the ``DataError``.
CAUSES: Mapping[str, str] = {
    "entries": "entries without a file or a partner",
    "unreadable": "files that cannot be decoded",
    "large": "images with too many pixels",
    "size": "labels of another size than their image",
    "swapped": "labels with height and width swapped",
    "exif": "images that their EXIF orientation turns, and labels that it does not",
    "channels": "labels with several channels",
    "colours": "labels that are colour-coded",
    "wide": "labels of more than 8 bits",
    "raw ids": "labels with their data set's raw ids",
    "mask": "masks of 0 and another value instead of 0 and 1",
    "one-based": "class ids that count from 1",
    "interpolated": "labels blurred by interpolation or JPEG",
    "values": "label values that are no class",
    "transform": "images that a transform fails on",
    "few": "too few images",
    "heads": "losses that do not fit the network's maps of logits",
    "absent": "classes that do not occur",
    "twice": "the same image in training and in validation",
    "other": "other findings",
}
SHOWN = 10
LOSS = "loss"


@dataclass(frozen=True)
class Finding:
    """One sentence about the data.

    Attributes:
        cause: a key of ``CAUSES``.
        message: what was found, what was expected and what to do.
        section: ``train_dataset``, ``val_dataset`` or ``loss``.
        is_error: errors end the command, warnings do not.
    """

    cause: str
    message: str
    section: str
    is_error: bool = True


@dataclass
class SplitSummary:
    """What was looked at in one section.

    Attributes:
        images: entries of the section.
        looked_at: how many of them were decoded.
        class_names: of the data set.
        class_pixels: pixels of each class, over those.
    """

    images: int
    looked_at: int
    class_names: list[str]
    class_pixels: list[int]


@dataclass
class Report:
    """All findings of one look, and the data sets it was about (only those that could be listed)."""

    findings: list[Finding] = field(default_factory=list)
    splits: dict[str, SplitSummary] = field(default_factory=dict)
    datasets: dict[str, SegmentationDataset] = field(default_factory=dict)

    @property
    def errors(self) -> list[Finding]:
        """The findings that end the command."""
        return [finding for finding in self.findings if finding.is_error]

    @property
    def warnings(self) -> list[Finding]:
        """The findings that do not."""
        return [finding for finding in self.findings if not finding.is_error]

    def raise_errors(self) -> None:
        """DataError with every error, grouped by cause, if there is one."""
        errors = self.errors
        sections = {"the config" if error.section == LOSS else "the data set" for error in errors}
        where = " and ".join(sorted(sections, reverse=True))
        if len(errors) == 1:
            raise DataError(f"{where} has a problem:\n  - {errors[0].message}", errors[0].cause)
        if errors:
            raise DataError(f"{len(errors)} problems in {where}:\n" + "\n".join(grouped(errors)))

    def to_dict(self) -> dict[str, Any]:
        """Plain containers for JSON: every finding, none left out."""
        return {
            "errors": len(self.errors),
            "warnings": len(self.warnings),
            "findings": [
                {
                    "severity": "error" if finding.is_error else "warning",
                    "cause": finding.cause,
                    "title": CAUSES[finding.cause],
                    "section": finding.section,
                    "message": finding.message,
                }
                for finding in self.findings
            ],
            "sections": {name: vars(split) for name, split in self.splits.items()},
        }


def grouped(findings: Sequence[Finding], shown: int = SHOWN) -> list[str]:
    """Lines: each cause with its count, then its first ``shown`` sentences."""
    lines = []
    for cause, title in CAUSES.items():
        group = [finding for finding in findings if finding.cause == cause]
        if not group:
            continue
        lines.append(f"  {title} ({len(group)}):")
        lines += [f"    - {finding.message}" for finding in group[:shown]]
        if len(group) > shown:
            lines.append(f"    ... and {len(group) - shown} more; `--json` of the check command lists all")
    return lines
