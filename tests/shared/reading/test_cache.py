"""The decoded cache: the samples it gives, when it gives new ones, its bound, and many processes at once."""

from __future__ import annotations

import gc
import logging
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.config.run_config import Component, ReaderConfig
from shared.datasets.dataset import Dataset
from shared.errors import ConfigError, DataError, MachineError
from shared.reading import cache_folder
from shared.reading.cache import DecodedCache
from shared.reading.cache_folder import CacheFolder, open_folder
from shared.reading.reader import open_reader
from shared.reading.source import SampleSource
from shared.transforms import build_transforms

ROOT = Path(__file__).resolve().parents[3]
COUNT = 6
ENTRY = 4096 + 40 * 60 * 4  # the bytes of one
STEPS = (
    Component("ResizeStepScaling", {"min_scale_factor": 0.5, "max_scale_factor": 2.0}),
    Component("RandomPaddingCrop", {"crop_size": [32, 32]}),
    Component("RandomHorizontalFlip"),
    Component("Normalize"),
)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = []
    for n in range(COUNT):
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8)).save(folder / f"{n}.png")
        Image.fromarray(rng.integers(0, 3, (40, 60), np.uint8)).save(folder / f"{n}_label.png")
        lines.append(f"{n}.png {n}_label.png\n")
    (folder / "train.txt").write_text("".join(lines))
    return folder


def source_of(images, cache: CacheFolder | None = None, num_classes: int = 3) -> SampleSource:
    data = Dataset(num_classes=num_classes, dataset_root=str(images), mode="train", train_path="train.txt")
    source = SampleSource(data, build_transforms(STEPS, True), seed=3)
    if cache is not None:
        source.cache = DecodedCache(cache)
    return source


def folder_at(path, gigabytes: float = 1.0) -> CacheFolder:
    return open_folder(ReaderConfig(cache="disk", cache_size=gigabytes, cache_dir=str(path)))


def entries(path) -> list[Path]:
    return sorted(Path(path).glob("*.decoded"))


def assert_equal(ours, plain) -> None:
    np.testing.assert_array_equal(ours.image, plain.image)
    np.testing.assert_array_equal(ours.label, plain.label)
    assert (ours.path, ours.undo, ours.rgb) == (plain.path, plain.undo, plain.rgb)


def forbid_decoding(monkeypatch) -> None:
    def refuse(*_):
        raise AssertionError("decoded although it is in the cache")

    monkeypatch.setattr("shared.reading.source.read_sample", refuse)


def test_value_samples_are_those_without_cache_and_decoded_once(images, tmp_path, monkeypatch):
    plain, cached = source_of(images), source_of(images, folder_at(tmp_path / "cache"))
    expected = [[plain.get(epoch, index) for index in range(COUNT)] for epoch in range(3)]
    for index in range(COUNT):
        assert_equal(cached.get(0, index), expected[0][index])
    assert [path.stat().st_size for path in entries(tmp_path / "cache")] == [ENTRY] * COUNT
    forbid_decoding(monkeypatch)
    later = source_of(images, folder_at(tmp_path / "cache"))  # another run finds them
    for epoch in range(3):
        for index in range(COUNT):
            assert_equal(later.get(epoch, index), expected[epoch][index])


@pytest.mark.parametrize("kind", ["inline", "thread", "process"])
def test_value_any_reader_gives_the_same_batches(images, tmp_path, kind):
    batches = [[(epoch, index), (epoch, index + 1)] for epoch in range(3) for index in range(0, COUNT, 2)]
    plain = source_of(images)
    cached = source_of(images, folder_at(tmp_path / "cache"))
    workers = {"workers": 0 if kind == "inline" else 2}
    with open_reader(plain, batches) as one, open_reader(cached, batches, kind=kind, **workers) as other:
        for expected, found in zip(one, other):
            np.testing.assert_array_equal(found.images, expected.images)
            np.testing.assert_array_equal(found.labels, expected.labels)
    assert len(entries(tmp_path / "cache")) == COUNT


def test_value_a_changed_file_is_decoded_anew(images, tmp_path):
    cache = folder_at(tmp_path / "cache")
    source = source_of(images, cache)
    source.get(0, 0)
    size = cache.used_bytes()
    for name, flipped in (("0.png", True), ("0_label.png", False)):
        pixels = np.array(Image.open(images / name))
        Image.fromarray(np.ascontiguousarray(pixels[::-1] if flipped else pixels[:, ::-1])).save(images / name)
        assert_equal(source.get(0, 0), source_of(images).get(0, 0))
    status = os.stat(images / "0.png")
    data = bytearray((images / "0.png").read_bytes())
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(images / "0.png")  # another size, the same time of change
    os.utime(images / "0.png", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert len(data) != os.stat(images / "0.png").st_size
    assert_equal(source.get(0, 0), source_of(images).get(0, 0))
    assert cache.used_bytes() == size, "one entry, replaced"


def test_value_the_meaning_of_labels_is_part_of_an_entry(images, tmp_path):
    cache = folder_at(tmp_path / "cache")
    source_of(images, cache).get(0, 0)
    with pytest.raises(DataError, match="label value 2"):  # checked for two classes, not taken from the check for three
        source_of(images, cache, num_classes=2).get(0, 0)
    mapped = source_of(images, cache)
    mapped.dataset.label_map = (2, 0, 1)
    assert not np.array_equal(mapped.get(0, 0).label, source_of(images).get(0, 0).label)


def test_error_a_file_that_cannot_be_read_is_not_kept(images, tmp_path):
    source = source_of(images, folder_at(tmp_path / "cache"))
    (images / "0.png").write_bytes((images / "0.png").read_bytes()[:200])
    (images / "1.png").unlink()
    for index, words in ((0, "cut off"), (1, "cannot be read")):
        with pytest.raises(DataError, match=words):
            source.get(0, index)
    assert entries(tmp_path / "cache") == []


@pytest.mark.parametrize("damage", ["empty", "short", "noise", "header"])
def test_value_a_damaged_entry_is_made_anew(images, tmp_path, damage):
    source = source_of(images, folder_at(tmp_path / "cache"))
    source.get(0, 0)
    (entry,) = entries(tmp_path / "cache")
    data = entry.read_bytes()
    broken = {"empty": b"", "short": data[:-1], "noise": b"\0" * len(data), "header": data[:12] + b"[]" + data[14:]}
    entry.write_bytes(broken[damage])
    assert_equal(source.get(0, 0), source_of(images).get(0, 0))
    assert entry.read_bytes() == data


def test_value_pixels_may_be_written_to_without_touching_the_cache(images, tmp_path):
    cache = folder_at(tmp_path / "cache")
    source = source_of(images, cache)
    source.transforms = lambda *_: None
    source.get(0, 0)
    sample = source.get(0, 0)
    before = sample.image.copy()
    sample.image[:] = 0
    sample.label[:] = 0
    np.testing.assert_array_equal(source.get(0, 0).image, before)


def test_value_the_size_is_kept_and_said_once(images, tmp_path, caplog):
    cache = folder_at(tmp_path / "cache", 2.5 * ENTRY / 1e9)
    sources = [source_of(images, cache), source_of(images, pickle.loads(pickle.dumps(cache)))]
    with caplog.at_level(logging.WARNING):
        for source in sources:
            for index in range(COUNT):
                assert_equal(source.get(0, index), source_of(images).get(0, index))
    assert len(entries(tmp_path / "cache")) == 2
    assert cache.used_bytes() == 2 * ENTRY
    assert len([r for r in caplog.records if "has reached its size" in r.getMessage()]) == 1
    assert "reader.cache_size" in caplog.text


def test_value_entries_of_earlier_runs_make_room_the_oldest_first(images, tmp_path):
    path = tmp_path / "cache"
    earlier = source_of(images, folder_at(path, 3 * ENTRY / 1e9))
    names = []
    for index in range(3):
        before = set(entries(path))
        earlier.get(0, index)
        (name,) = set(entries(path)) - before
        os.utime(name, (time.time() - 1000 + index, name.stat().st_mtime))
        names.append(name)
    now = source_of(images, folder_at(path, 3 * ENTRY / 1e9))
    now.get(0, 0)  # used again: no longer the oldest
    now.get(0, 3)
    assert names[0].exists()
    assert not names[1].exists()
    assert names[2].exists()
    now.get(0, 4)
    assert not names[2].exists()
    now.get(0, 5)  # all three are this run's
    assert len(entries(path)) == 3
    assert names[0].exists()


def test_value_a_place_nearly_full_is_left_alone(images, tmp_path, monkeypatch, caplog):
    usage = type("Usage", (), {"total": 1000 * ENTRY, "free": 100 * ENTRY})
    monkeypatch.setattr(cache_folder.shutil, "disk_usage", lambda _: usage)
    with caplog.at_level(logging.WARNING):
        source_of(images, folder_at(tmp_path / "cache")).get(0, 0)
    assert entries(tmp_path / "cache") == []
    assert "a tenth of the place is kept" in caplog.text


def test_value_a_full_disk_costs_nothing_but_speed(images, tmp_path, monkeypatch, caplog):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    cache = folder_at(tmp_path / "cache")
    source = source_of(images, cache)
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(os, "fsync", full)
        assert_equal(source.get(0, 0), source_of(images).get(0, 0))
    assert "No space left" in caplog.text
    assert [p.name for p in (tmp_path / "cache").iterdir() if p.suffix in (".decoded", ".writing")] == []
    assert cache.used_bytes() == 0


def test_value_a_cache_that_vanished_costs_nothing_but_speed(images, tmp_path):
    source = source_of(images, folder_at(tmp_path / "cache"))
    for path in (tmp_path / "cache").iterdir():
        path.unlink()
    (tmp_path / "cache").rmdir()
    assert_equal(source.get(0, 0), source_of(images).get(0, 0))


def test_value_half_written_files_of_the_dead_go(tmp_path):
    folder_at(tmp_path)
    for name, age in (("dead.writing", 4000), ("alive.writing", 10)):
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    folder_at(tmp_path)
    assert [p.name for p in tmp_path.glob("*.writing")] == ["alive.writing"]


def fill(source: SampleSource, start: int) -> int:
    for step in range(3 * COUNT):
        source.get(0, (start + step) % COUNT)
    return len(entries(source.cache.folder.path))


def test_value_many_processes_and_threads_share_a_folder(images, tmp_path):
    cache = folder_at(tmp_path / "cache", 4 * ENTRY / 1e9)
    source = source_of(images, cache)
    with ProcessPoolExecutor(4, get_context("spawn")) as processes, ThreadPoolExecutor(4) as threads:
        done = [pool.submit(fill, source, n) for n in range(4) for pool in (processes, threads)]
        assert max(one.result() for one in done) <= 4
    assert len(entries(tmp_path / "cache")) == 4
    assert cache.used_bytes() == 4 * ENTRY
    for index in range(COUNT):
        assert_equal(source.get(0, index), source_of(images).get(0, index))


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """A folder in place of /dev/shm, so that no other run's cache is touched."""
    monkeypatch.setattr(cache_folder, "SHARED_MEMORY", str(tmp_path))
    return tmp_path


def test_value_memory_is_given_back_by_the_last_user(images, memory):
    config = ReaderConfig(cache="ram")
    one, other = open_folder(config), open_folder(config)
    source = source_of(images, one)
    source.get(0, 0)
    assert len(entries(one.path)) == 1
    worker = pickle.loads(pickle.dumps(source))
    path = one.path
    del source, one
    gc.collect()
    assert len(entries(path)) == 1, "another rank still uses it"
    assert_equal(worker.get(0, 0), source_of(images).get(0, 0))
    del other
    gc.collect()
    assert not os.path.exists(path), "a worker's view does not hold it"
    assert_equal(worker.get(0, 0), source_of(images).get(0, 0))


def test_value_memory_of_a_killed_run_is_used_on_and_given_back(memory):
    script = (
        "import os, sys, signal\nfrom shared.reading import cache_folder\ncache_folder.SHARED_MEMORY = sys.argv[1]\n"
        "from shared.config.run_config import ReaderConfig\n"
        "folder = cache_folder.open_folder(ReaderConfig(cache='ram'))\n"
        "open(os.path.join(folder.path, 'x.decoded'), 'wb').write(b'1234')\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    dead = subprocess.run([sys.executable, "-c", script, str(memory)], cwd=ROOT, check=False)
    assert dead.returncode == -signal.SIGKILL
    folder = open_folder(ReaderConfig(cache="ram"))
    assert folder.used_bytes() == 4
    path = folder.path
    del folder
    gc.collect()
    assert not os.path.exists(path)


@pytest.mark.parametrize("kind", ["anybody may write to it", "a link"])
def test_error_a_folder_in_memory_that_others_may_have_filled(kind, memory):
    place = memory / f"dualseg-decoded-{os.getuid()}"
    if kind == "a link":
        (memory / "elsewhere").mkdir(mode=0o700)
        place.symlink_to(memory / "elsewhere")
    else:
        place.mkdir()
        place.chmod(0o777)
    with pytest.raises(MachineError, match=r"not a folder that only its user may write to: remove it, or .* on disk"):
        open_folder(ReaderConfig(cache="ram"))


def test_error_places_that_cannot_hold_a_cache(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match=r"cannot be kept in .*file/cache: .*reader\.cache_dir"):
        folder_at(tmp_path / "file" / "cache")
    monkeypatch.setattr(cache_folder, "SHARED_MEMORY", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"got ram, which needs .*none, and there is none; use disk"):
        open_folder(ReaderConfig(cache="ram"))
    monkeypatch.setattr(cache_folder, "fcntl", None)
    with pytest.raises(ConfigError, match="got disk, which needs the file locks"):
        folder_at(tmp_path / "cache")
