"""Data sets without a ``dataset_root``: fetched from a server on this machine, unpacked, and read."""

from __future__ import annotations

import logging
import shutil
import sys
import tarfile
import threading
import zipfile
from contextlib import contextmanager

import pytest

import shared.download.fetch
from shared.datasets.published import PublishedArchive, find_root
from shared.datasets.reading import read_sample
from shared.errors import DataError
from shared.registry import DATASETS
from tests.shared.datasets.trees import DOWNLOADED, TREES
from tests.shared.download.server import be_impatient, running


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    be_impatient(monkeypatch)
    monkeypatch.setenv("DUALSEG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@contextmanager
def serving(name, tmp_path, monkeypatch):
    """A server of the data set's archive, and its class asking that server."""
    tree = TREES[name]
    file_name = tree.url.rpartition("/")[2]
    tree.write(tmp_path / "made" / tree.folder)
    archive = tmp_path / file_name
    if file_name.endswith(".zip"):
        with zipfile.ZipFile(archive, "w") as file:
            for path in sorted((tmp_path / "made").rglob("*")):
                file.write(path, path.relative_to(tmp_path / "made"))
            file.writestr("__MACOSX/._junk", b"junk")
    else:
        with tarfile.open(archive, "w") as file:
            file.add(tmp_path / "made" / tree.folder, tree.folder)
    shutil.rmtree(tmp_path / "made")
    with running(archive.read_bytes(), f"/dataset/{file_name}") as server:
        module = sys.modules[DATASETS[name].__module__]
        monkeypatch.setattr(module, "ARCHIVE", PublishedArchive(server.url, module.ARCHIVE.folder))
        yield server


def left(home):
    """What is in the cache beside locks: folders unpacked, and files of downloads."""
    datasets = home / "datasets"
    tops = [p.name for p in datasets.iterdir() if p.suffix != ".lock" and not p.name.startswith("127.0.0.1")]
    files = [p.name for p in datasets.glob("127.0.0.1*/**/*") if p.is_file() and p.suffix != ".lock"]
    return sorted(tops), sorted(files)


@pytest.mark.parametrize("name", DOWNLOADED)
def test_value_published_address(name):
    archive = sys.modules[DATASETS[name].__module__].ARCHIVE
    assert (archive.url, archive.folder) == (TREES[name].url, TREES[name].folder)


@pytest.mark.parametrize("name", DOWNLOADED)
def test_value_downloaded_once_though_it_breaks_off(name, tmp_path, home, monkeypatch):
    tree = TREES[name]
    with serving(name, tmp_path, monkeypatch) as server:
        server.break_after = [len(server.content) // 2]
        dataset = DATASETS[name]()
        assert server.asked == [None, f"bytes={len(server.content) // 2}-"]
        assert left(home) == ([tree.folder], [])
        root = home / "datasets" / tree.folder
        assert [r.image for r in dataset.records] == [str(root / image) for image, _ in tree.pairs["train"]]
        for record, (_, label) in zip(dataset.records, tree.pairs["train"]):
            assert (read_sample(record, dataset.label_map).label == tree.expected_label(label)).all()
        assert len(DATASETS[name](mode="val")) == len(tree.pairs["val"])
        assert len(server.asked) == 2


def test_value_processes_that_ask_at_once_share_one_download(tmp_path, home, monkeypatch):
    if shared.download.fetch.fcntl is None:
        pytest.skip("no file locks on this system")
    lengths = []
    with serving("OpticDiscSeg", tmp_path, monkeypatch) as server:
        asking = [
            threading.Thread(target=lambda: lengths.append(len(DATASETS["OpticDiscSeg"](None, "train"))))
            for _ in range(4)
        ]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        assert (lengths, server.asked) == ([2] * 4, [None])


def test_error_unreachable_says_where_and_what_to_do_by_hand(tmp_path, home, monkeypatch):
    with serving("OpticDiscSeg", tmp_path, monkeypatch) as server:
        url = server.url
    with pytest.raises(DataError) as caught:
        DATASETS["OpticDiscSeg"]()
    message = str(caught.value)
    assert message.startswith("dataset_root is not set, so the data set was to be downloaded: ")
    assert f"{url} cannot be reached" in message
    assert f"put the file at {home / 'datasets' / '127.0.0.1'}" in message
    assert message.endswith(f"unpack {url} anywhere and set dataset_root to its folder optic_disc_seg")
    assert left(home) == ([], [])


def test_value_an_archive_put_there_by_hand_is_taken(tmp_path, home, monkeypatch):
    with serving("OpticDiscSeg", tmp_path, monkeypatch):
        pass
    with pytest.raises(DataError, match="put the file at") as caught:
        DATASETS["OpticDiscSeg"]()
    place = str(caught.value).partition("put the file at ")[2].partition(". Or unpack")[0]
    shutil.copy(tmp_path / "optic_disc_seg.zip", place)
    assert len(DATASETS["OpticDiscSeg"](mode="val")) == 1


def test_error_broken_off_leaves_no_folder_and_the_next_call_goes_on(tmp_path, home, monkeypatch):
    monkeypatch.setattr(shared.download.fetch, "ATTEMPTS", 1)
    with serving("ADE20K", tmp_path, monkeypatch) as server:
        server.break_after = [1000]
        with pytest.raises(DataError, match="broke off after 1000 of"):
            DATASETS["ADE20K"]()
        assert left(home) == ([], ["ADEChallengeData2016.zip.part", "ADEChallengeData2016.zip.part.json"])
        assert len(DATASETS["ADE20K"]()) == 2
        assert server.asked == [None, "bytes=1000-"]
        assert left(home) == (["ADEChallengeData2016"], [])


@pytest.mark.parametrize("name", ["PascalVOC", "OpticDiscSeg"])
def test_error_damaged_archive_leaves_nothing_unpacked(name, tmp_path, home, monkeypatch):
    with serving(name, tmp_path, monkeypatch) as server:
        server.content = server.content[: len(server.content) // 2]
        with pytest.raises(DataError, match=r"is damaged or no (ZIP|tar) archive .*; delete it to fetch it again"):
            DATASETS[name]()
        assert left(home) == ([], [TREES[name].url.rpartition("/")[2]])


def test_error_cache_is_a_file(tmp_path, home, monkeypatch):
    home.mkdir()
    (home / "datasets").write_text("in the way")
    with serving("OpticDiscSeg", tmp_path, monkeypatch):
        with pytest.raises(DataError, match=r"cannot write .*set dataset_root to"):
            DATASETS["OpticDiscSeg"]()
        assert (home / "datasets").read_text() == "in the way"


def test_value_a_publisher_without_encryption_is_named_in_a_warning(tmp_path, monkeypatch, caplog):
    with serving("PascalVOC", tmp_path, monkeypatch) as server, caplog.at_level(logging.INFO):
        DATASETS["PascalVOC"]()
    assert f"{server.url} is fetched without encryption" in caplog.text
    assert not PublishedArchive("http://host.org/a.zip", "a").is_encrypted
    assert PublishedArchive("https://host.org/a.zip", "a").is_encrypted


def test_value_a_given_root_is_never_downloaded(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_root("lost", PublishedArchive("https://host.org/a.zip", "a")) == str(tmp_path / "lost")
    assert not home.exists()
