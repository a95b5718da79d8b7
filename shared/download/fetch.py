"""Fetching a file into the cache: resumed, checked, and renamed into place only when it is whole."""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import logging
import os
import re
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tqdm import tqdm

from shared.errors import DownloadError
from shared.weights.atomic import sha256_of, sync_directory, write_problem

try:
    import fcntl
except ImportError:  # Windows: two processes that fetch one file at once both fetch it
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 30.0
ATTEMPTS = 4
BACKOFF_SECONDS = 1.0
MAX_BYTES = 64 * 1024**3  # of a file whose size nobody told
_BLOCK = 1 << 18
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
_NO_NETWORK = (socket.gaierror, ConnectionRefusedError)
_NO_NETWORK_ERRNOS = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)
_TRANSIENT_STATUS = (408, 425, 429, 500, 502, 503, 504)


class DownloadUnreachable(DownloadError):  # noqa: N818 - it says what happened
    """The network or the server does not answer; the file itself may be fine."""


class _BrokenError(Exception):
    """This attempt failed in a way the next may not."""


@dataclass(frozen=True)
class _Job:
    url: str
    target: Path
    expected_size: int | None
    sha256: str | None
    progress: bool
    allow_http: bool

    @property
    def part(self) -> Path:
        return self.target.with_name(self.target.name + ".part")

    @property
    def validator(self) -> Path:
        """Remembers the ETag or date of the ``.part`` file, so that no two versions are glued together."""
        return self.target.with_name(self.target.name + ".part.json")

    @property
    def by_hand(self) -> str:
        return f"to do without the network, put the file at {self.target}"


def cache_home() -> Path:
    """``$DUALSEG_HOME``, or ``~/.cache/dualseg``."""
    home = os.environ.get("DUALSEG_HOME")
    return Path(home).expanduser() if home else Path.home() / ".cache" / "dualseg"


def cached_path(url: str, cache_dir: str | os.PathLike[str] | None = None, kind: str = "weights") -> Path:
    """Where :func:`fetch` keeps ``url``: ``<cache>/<kind>/<host>/<path of the URL>``."""
    parts = urlsplit(url)
    names = [re.sub(r"[^\w.+-]", "_", name) for name in unquote(parts.path).split("/") if name not in ("", ".", "..")]
    if not names:
        raise DownloadError(f"{url} names no file; give the address of a file")
    if parts.query:
        names[-1] = f"{hashlib.sha256(parts.query.encode()).hexdigest()[:8]}-{names[-1]}"
    host = re.sub(r"[^\w.-]", "_", parts.netloc.rpartition("@")[2])
    return (cache_home() if cache_dir is None else Path(cache_dir)).joinpath(kind, host, *names)


def fetch(
    url: str,
    cache_dir: str | os.PathLike[str] | None = None,
    *,
    kind: str = "weights",
    sha256: str | None = None,
    expected_size: int | None = None,
    progress: bool | None = None,
    allow_http: bool = False,
) -> Path:
    """Return the cached file of ``url``, downloading it first where it is not there.

    A broken download goes on where it stopped if the server allows it and the file has not changed there. Processes
    that ask for the same file at once wait for one download.

    Args:
        url: https; http only for this machine or with ``allow_http``.
        cache_dir: default :func:`cache_home`.
        kind: the cache's folder for such files: ``weights`` or ``datasets``.
        sha256: 64 hexadecimal digits the file must have; a cached file that has not is fetched again.
        expected_size: bytes the file must have; likewise.
        progress: draw a bar on stderr; None: where stderr is a terminal.

    Raises:
        DownloadUnreachable: no network, no such host, refused, or broken off in every attempt.
        DownloadError: wrong kind of URL, 404 and its like, wrong size or hash, more than 64 GiB, cache not writable or
            full.
    """
    _check_url(url, allow_http)
    target = cached_path(url, cache_dir, kind)
    bar = sys.stderr.isatty() if progress is None else progress
    job = _Job(url, target, expected_size, sha256.lower() if sha256 else None, bar, allow_http)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.with_name(target.name + ".lock")):
            if target.is_file() and _cached_is_good(job):
                return target
            _download(job)
            _check_part(job)
            os.replace(job.part, target)
            sync_directory(target.parent)
    except OSError as error:
        raise write_problem(error, target.parent, expected_size, DownloadError) from error
    return target


def _check_url(url: str, allow_http: bool) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise DownloadError(f"{url!r} is not a URL ({error})") from error
    if parts.scheme not in ("https", "http") or not host:
        raise DownloadError(f"{url!r} cannot be fetched: only https addresses are; give a path for a local file")
    if parts.scheme == "http" and host not in _LOCAL_HOSTS and not allow_http:
        raise DownloadError(f"{url} is not encrypted: use https, or download it by hand and give its path")


def _cached_is_good(job: _Job) -> bool:
    problem = _problem(job, job.target)
    if problem:
        logger.warning("%s is fetched again: the cached file has %s", job.url, problem)
    return problem is None


def _problem(job: _Job, path: Path) -> str | None:
    size = path.stat().st_size
    if job.expected_size is not None and size != job.expected_size:
        return f"{size} bytes instead of {job.expected_size}"
    if job.sha256 is not None:
        digest = sha256_of(path)
        if digest != job.sha256:
            return f"SHA-256 {digest} instead of {job.sha256}"
    return None


def _check_part(job: _Job) -> None:
    problem = _problem(job, job.part)
    with suppress(OSError):
        job.validator.unlink()
    if problem:
        job.part.unlink()
        raise DownloadError(
            f"{job.url} has {problem}: the file there is not the expected one; correct the address or {job.by_hand}"
        )


def _download(job: _Job) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _attempt(job)
            return
        except _BrokenError as error:
            if attempt == ATTEMPTS:
                raise DownloadUnreachable(
                    f"{job.url} cannot be reached or broke off in {ATTEMPTS} attempts ({error}); check the network and "
                    f"run again to go on, or, {job.by_hand}"
                ) from error
            logger.warning("%s: attempt %d of %d failed (%s)", job.url, attempt, ATTEMPTS, error)
            time.sleep(BACKOFF_SECONDS * 2 ** (attempt - 1))


def _attempt(job: _Job) -> None:
    """One request, from the start or from where the ``.part`` file ends."""
    offset, validator = _resume_point(job)
    request = urllib.request.Request(job.url, headers={"User-Agent": "dualseg", "Accept-Encoding": "identity"})
    if offset:
        request.add_header("Range", f"bytes={offset}-")
        request.add_header("If-Range", validator)
    with _open(job, request) as response:
        _receive(job, response, offset)


def _open(job: _Job, request: urllib.request.Request) -> http.client.HTTPResponse:
    opener = urllib.request.build_opener(_SafeRedirects(job.allow_http))
    try:
        return opener.open(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # the .part file is no beginning of what is there now
            job.part.unlink(missing_ok=True)
        if error.code in (*_TRANSIENT_STATUS, 416):
            raise _BrokenError(f"the server answered {error.code} {error.reason}") from error
        raise DownloadError(
            f"{job.url} is not to be had: the server answered {error.code} {error.reason}; correct the address or "
            f"{job.by_hand}"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, _NO_NETWORK) or getattr(reason, "errno", None) in _NO_NETWORK_ERRNOS:
            raise DownloadUnreachable(
                f"{job.url} cannot be reached ({reason}); check the network, or, {job.by_hand}"
            ) from error
        raise _BrokenError(f"{type(reason).__name__}: {reason}") from error


def _resume_point(job: _Job) -> tuple[int, str]:
    """(bytes already there, the validator they belong to); (0, "") to start afresh."""
    try:
        validator = json.loads(job.validator.read_text("utf-8"))["validator"]
        offset = job.part.stat().st_size
    except (OSError, ValueError, KeyError, TypeError):
        return 0, ""
    return (offset, validator) if offset and isinstance(validator, str) and validator else (0, "")


def _receive(job: _Job, response: http.client.HTTPResponse, offset: int) -> None:
    resumed = response.status == 206 and _starts_at(response, offset)
    if response.status == 206 and not resumed:
        job.part.unlink(missing_ok=True)
        raise _BrokenError("the server sent another part than the one asked for")
    start = offset if resumed else 0
    length = response.headers.get("Content-Length")
    total = start + int(length) if length and length.isdigit() else None
    _check_size(job, total or 0)
    if not resumed:
        _remember_validator(job, response)
    with open(job.part, "ab" if resumed else "wb") as file:
        with _bar(job, start, total) as bar:
            while block := _next_block(response):
                start += len(block)
                _check_size(job, start)
                file.write(block)
                bar.update(len(block))
        file.flush()
        os.fsync(file.fileno())
    size = job.part.stat().st_size
    if total is not None and size != total:
        raise _BrokenError(f"broke off after {size} of {total} bytes")


def _check_size(job: _Job, size: int) -> None:
    """A server that sends for ever is stopped at the size that was expected, or at the bound for all files."""
    most = MAX_BYTES if job.expected_size is None else job.expected_size
    if size > most:
        for path in (job.part, job.validator):
            path.unlink(missing_ok=True)
        limit = f"more than {most} bytes" if job.expected_size is None else f"{size} bytes instead of {most}"
        raise DownloadError(
            f"{job.url} has {limit}: the file there is not the expected one; correct the address or {job.by_hand}"
        )


def _next_block(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(f"{type(error).__name__}: {error}") from error


def _starts_at(response: http.client.HTTPResponse, offset: int) -> bool:
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return found is not None and int(found.group(1)) == offset


def _remember_validator(job: _Job, response: http.client.HTTPResponse) -> None:
    tag = response.headers.get("ETag") or ""
    validator = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")
    job.validator.write_text(json.dumps({"url": job.url, "validator": validator}), "utf-8")


def _bar(job: _Job, start: int, total: int | None) -> tqdm:
    return tqdm(
        total=total,
        initial=start,
        unit="B",
        unit_scale=True,
        desc=job.target.name,
        disable=not job.progress,
        file=sys.stderr,
    )


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to an address that could have been asked for itself."""

    def __init__(self, allow_http: bool) -> None:
        self._allow_http = allow_http

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        _check_url(newurl, self._allow_http)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time work on what ``path`` stands for; a process that dies lets go of the lock."""
    if fcntl is None:
        yield
        return
    with open(path, "wb") as file:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
