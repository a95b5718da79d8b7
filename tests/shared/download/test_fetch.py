from __future__ import annotations

import os
import socket
import threading
from hashlib import sha256

import numpy as np
import pytest

import shared.download.fetch
from shared.download.fetch import DownloadUnreachable, cached_path, fetch
from shared.errors import DownloadError
from tests.shared.download.server import be_impatient, running

CONTENT = np.random.default_rng(0).bytes(300_000)
DIGEST = sha256(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch):
    be_impatient(monkeypatch)
    with running(CONTENT) as state:
        yield state


def _names(folder):
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock")


def test_value_fetched_once_and_then_cached(server, tmp_path):
    path = fetch(server.url, tmp_path, sha256=DIGEST.upper(), expected_size=len(CONTENT))
    assert path.read_bytes() == CONTENT
    assert path == cached_path(server.url, tmp_path)
    assert fetch(server.url, tmp_path) == path
    assert server.asked == [None]
    assert _names(tmp_path) == ["model.pdparams"]


def test_value_broken_download_goes_on(server, tmp_path):
    server.break_after = [100_000, 50_000]
    assert fetch(server.url, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-", "bytes=150000-"]


def test_value_goes_on_in_a_later_run(server, tmp_path, monkeypatch):
    server.break_after = [120_000]
    monkeypatch.setattr(shared.download.fetch, "ATTEMPTS", 1)
    with pytest.raises(DownloadUnreachable, match="broke off"):
        fetch(server.url, tmp_path)
    assert not cached_path(server.url, tmp_path).exists()
    assert fetch(server.url, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=120000-"]


def test_value_starts_afresh_without_range_support(server, tmp_path):
    server.ranges = False
    server.break_after = [100_000]
    assert fetch(server.url, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-"]


def test_value_starts_afresh_without_a_validator(server, tmp_path):
    server.etag = None
    server.break_after = [100_000]
    assert fetch(server.url, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, None]


def test_value_two_versions_are_never_glued(server, tmp_path, monkeypatch):
    server.break_after = [100_000]
    monkeypatch.setattr(shared.download.fetch, "ATTEMPTS", 1)
    with pytest.raises(DownloadUnreachable):
        fetch(server.url, tmp_path)
    server.content, server.etag = CONTENT[::-1], '"v2"'
    assert fetch(server.url, tmp_path).read_bytes() == CONTENT[::-1]


def test_value_a_part_longer_than_the_file_is_dropped(server, tmp_path, monkeypatch):
    server.break_after = [100_000]
    monkeypatch.setattr(shared.download.fetch, "ATTEMPTS", 1)
    with pytest.raises(DownloadUnreachable):
        fetch(server.url, tmp_path)
    server.content = CONTENT[:50_000]
    monkeypatch.setattr(shared.download.fetch, "ATTEMPTS", 2)
    assert fetch(server.url, tmp_path).read_bytes() == CONTENT[:50_000]


def test_value_another_part_than_asked_for_is_not_taken(server, tmp_path):
    server.break_after = [100_000]
    server.wrong_part = True
    assert fetch(server.url, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-", None]


def test_value_transient_answers_are_tried_again(server, tmp_path):
    server.status = [503, 429, 500]
    assert fetch(server.url, tmp_path).read_bytes() == CONTENT


def test_value_a_bad_cached_file_is_fetched_again(server, tmp_path, caplog):
    path = cached_path(server.url, tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"old")
    assert fetch(server.url, tmp_path).read_bytes() == b"old"
    assert fetch(server.url, tmp_path, sha256=DIGEST).read_bytes() == CONTENT
    assert "SHA-256" in caplog.text
    path.write_bytes(b"old")
    assert fetch(server.url, tmp_path, expected_size=len(CONTENT)).read_bytes() == CONTENT


def test_value_redirect_is_followed(server, tmp_path):
    with running(CONTENT) as other:
        other.redirect = server.url
        assert fetch(other.url, tmp_path).read_bytes() == CONTENT


def test_value_processes_that_ask_at_once_share_one_download(server, tmp_path):
    if shared.download.fetch.fcntl is None:
        pytest.skip("no file locks on this system")
    paths = []
    threads = [threading.Thread(target=lambda: paths.append(fetch(server.url, tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 4
    assert server.asked == [None]


def test_value_progress_bar(server, tmp_path, capsys):
    fetch(server.url, tmp_path / "a", progress=True)
    assert "model.pdparams: 100%" in capsys.readouterr().err
    fetch(server.url, tmp_path / "b")
    assert capsys.readouterr().err == ""


def test_value_cache_home(tmp_path, monkeypatch):
    url = "https://host.org/a/model.pdparams"
    monkeypatch.setenv("DUALSEG_HOME", str(tmp_path))
    assert cached_path(url) == tmp_path / "weights" / "host.org" / "a" / "model.pdparams"
    monkeypatch.delenv("DUALSEG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "me"))
    assert cached_path(url) == tmp_path.joinpath(
        "me", ".cache", "dualseg", "weights", "host.org", "a", "model.pdparams"
    )


@pytest.mark.parametrize("path", ["a/../../../x.pdparams", "..%2f..%2fx.pdparams", "//./x.pdparams", "..\\x.pdparams"])
def test_value_cached_path_stays_in_the_cache(tmp_path, path):
    found = cached_path(f"https://host.org/{path}", tmp_path).resolve()
    assert (tmp_path / "weights" / "host.org").resolve() in found.parents


def test_value_queries_have_their_own_place(tmp_path):
    urls = ["https://h.org/m.pdparams", "https://h.org/m.pdparams?v=1", "https://h.org/m.pdparams?v=2"]
    paths = {cached_path(url, tmp_path) for url in urls}
    assert len(paths) == 3
    assert {p.suffix for p in paths} == {".pdparams"}


def test_value_kinds_of_files_have_folders_of_their_own(server, tmp_path):
    path = fetch(server.url, tmp_path, kind="datasets")
    assert path == cached_path(server.url, tmp_path, "datasets")
    assert path.relative_to(tmp_path).parts[0] == "datasets"


def test_error_404(server, tmp_path):
    server.status = [404]
    with pytest.raises(DownloadError, match=r"answered 404 .*put the file at .*model\.pdparams") as caught:
        fetch(server.url, tmp_path)
    assert not isinstance(caught.value, DownloadUnreachable)
    assert len(server.asked) == 1
    assert _names(tmp_path) == []


def test_error_wrong_hash_or_size(server, tmp_path):
    with pytest.raises(DownloadError, match=f"has SHA-256 {DIGEST} instead of 00.*put the file at") as caught:
        fetch(server.url, tmp_path, sha256="00" * 32)
    assert not isinstance(caught.value, DownloadUnreachable)
    with pytest.raises(DownloadError, match="has 300000 bytes instead of 5") as caught:
        fetch(server.url, tmp_path, expected_size=5)
    assert not isinstance(caught.value, DownloadUnreachable)
    assert _names(tmp_path) == []


def test_error_shorter_than_announced(server, tmp_path):
    server.extra_length = 10
    with pytest.raises(DownloadUnreachable, match="in 4 attempts"):
        fetch(server.url, tmp_path)
    assert not cached_path(server.url, tmp_path).exists()


def test_error_refused_is_unreachable_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("waited"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DownloadUnreachable, match=r"cannot be reached .*put the file at"):
        fetch(f"http://127.0.0.1:{port}/m.pdparams", tmp_path)


def test_error_unknown_host_is_unreachable_at_once(tmp_path, monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("waited"))
    with pytest.raises(DownloadUnreachable, match="Name or service not known"):
        fetch("https://weights.example/m.pdparams", tmp_path)


def test_error_silent_server_times_out(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(shared.download.fetch, "TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(shared.download.fetch, "BACKOFF_SECONDS", 0.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(DownloadUnreachable, match="timed out"):
            fetch(f"http://127.0.0.1:{silent.getsockname()[1]}/m.pdparams", tmp_path)


def test_value_back_off_doubles(server, tmp_path, monkeypatch):
    waited = []
    monkeypatch.setattr(shared.download.fetch, "BACKOFF_SECONDS", 1.0)
    monkeypatch.setattr("time.sleep", waited.append)
    server.status = [503] * 4
    with pytest.raises(DownloadUnreachable, match="503"):
        fetch(server.url, tmp_path)
    assert waited == [1, 2, 4]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("file:///etc/passwd", "only https addresses"),
        ("ftp://host.org/m.pdparams", "only https addresses"),
        ("https:///m.pdparams", "only https addresses"),
        ("http://host.org/m.pdparams", "is not encrypted"),
        ("https://[host/m.pdparams", "is not a URL"),
        ("https://host.org/", "names no file"),
    ],
)
def test_error_addresses_refused(tmp_path, url, message):
    with pytest.raises(DownloadError, match=message):
        fetch(url, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["http://host.org/m.pdparams", "file:///etc/passwd", "ftp://host.org/m"])
def test_error_redirect_to_an_address_refused(server, tmp_path, target):
    server.redirect = target
    with pytest.raises(DownloadError, match=r"not encrypted|cannot be fetched|not to be had"):
        fetch(server.url, tmp_path)
    assert len(server.asked) == 1


def test_error_disk_full_is_not_unreachable(server, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DownloadError, match="disk full") as caught:
        fetch(server.url, tmp_path)
    assert not isinstance(caught.value, DownloadUnreachable)
    assert len(server.asked) == 1


def test_error_cache_is_a_file(server, tmp_path):
    (tmp_path / "weights").write_text("in the way")
    with pytest.raises(DownloadError, match="cannot write"):
        fetch(server.url, tmp_path)
