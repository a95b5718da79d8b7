"""Data sets that are downloaded where a config gives no ``dataset_root``."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from shared.datasets.files import absolute
from shared.download.fetch import cache_home, fetch, locked
from shared.download.unpack import unpack
from shared.errors import DataError, DownloadError
from shared.weights.atomic import write_problem

logger = logging.getLogger(__name__)

_KIND = "datasets"


@dataclass(frozen=True)
class PublishedArchive:
    """An archive that unpacks to a data set.

    Attributes:
        url: its address; http where there is no other, with a warning when it is fetched.
        folder: the folder inside it that ``dataset_root`` is to be.
    """

    url: str
    folder: str

    @property
    def is_encrypted(self) -> bool:
        """Whether nobody between its server and this machine can change it."""
        return self.url.startswith("https:")

    @property
    def place(self) -> Path:
        """Where it is unpacked to: ``<cache>/datasets/<folder>``."""
        return cache_home() / _KIND / self.folder


def find_root(dataset_root: str | None, archive: PublishedArchive) -> str:
    """``dataset_root`` made absolute; None: the folder in the cache, downloaded and unpacked at the first use.

    Processes that ask at once share one download. The archive is deleted when it is unpacked.

    Raises:
        DataError: the archive cannot be had, is damaged or does not fit on the disk; nothing half done is left but
            the part already downloaded, which the next call goes on with.
    """
    if dataset_root is not None:
        return absolute(dataset_root)
    place = archive.place
    if not place.is_dir():
        try:
            _download(archive, place)
        except DownloadError as error:
            raise DataError(
                f"dataset_root is not set, so the data set was to be downloaded: {error}. Or unpack "
                f"{archive.url} anywhere and set dataset_root to its folder {archive.folder}"
            ) from error
    return str(place)


def _download(archive: PublishedArchive, place: Path) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with locked(place.with_name(f".{place.name}.lock")):
            if place.is_dir():  # another process was faster
                return
            logger.info("dataset_root is not set: downloading %s to %s", archive.url, place)
            if not archive.is_encrypted:
                logger.warning("%s is fetched without encryption, as it is published", archive.url)
            file = fetch(archive.url, kind=_KIND, allow_http=not archive.is_encrypted)
            unpack(file, place, archive.folder)
            file.unlink()
    except OSError as error:
        raise write_problem(error, place.parent, kind=DownloadError) from error
