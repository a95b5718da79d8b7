"""Samples that break while a run reads them: what is done in their place, and how many are too many."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from shared.errors import RunFailedError

logger = logging.getLogger(__name__)

MOST_BROKEN_SHARE = 0.1  # of a data set's samples; above it something is wrong with the set, not with a file

Broken = tuple[str, str]  # the image file, and the sentence about it


class BrokenSamples:
    """Names each broken file once, counts what was skipped, and ends the run where it is too much.

    Args:
        section: ``train_dataset`` or ``val_dataset``, for messages.
        length: samples of the data set.

    Attributes:
        skipped: how often a broken sample was met; a file that is met in every epoch counts each time.
    """

    def __init__(self, section: str, length: int) -> None:
        self.section = section
        self.length = length
        self.skipped = 0
        self._files: dict[str, str] = {}

    def add(self, broken: Sequence[Broken]) -> None:
        """Take note of what a batch brought.

        Raises:
            RunFailedError: more files are broken than :data:`MOST_BROKEN_SHARE` allows (one is always allowed).
        """
        for path, story in broken:
            self.skipped += 1
            if path not in self._files:
                self._files[path] = story
                logger.warning("skipped, as on_bad_sample says (file %d so far): %s", len(self._files), story)
        if too_many(len(self._files), self.length):
            raise RunFailedError(
                f"{self.section}: {len(self._files)} of {self.length} samples are broken, more than "
                f"{MOST_BROKEN_SHARE:.0%} (first: {next(iter(self._files.values()))}); repair the data set: "
                "scripts/check_data.py or pdseg/check.py lists all of them"
            )


def too_many(broken: int, length: int) -> bool:
    """Whether so many broken samples of ``length`` are no longer skipped."""
    return broken > max(1, MOST_BROKEN_SHARE * length)
