"""Mutated files of every kind that is read: each ends in a result or in one clean message, none in another exception.

The corpus is generated: file ``n`` of a kind is a function of the kind and ``n`` alone. A hang is ended after a minute.
"""

from __future__ import annotations

import io
import pickle
import signal
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image
from safetensors.numpy import save

import dygraph.build  # noqa: F401 - fills the registries the configs are checked against
from legacy.pdseg.config import load_static_config
from shared.config.eager import load_run_config
from shared.datasets.list_file import read_list
from shared.datasets.reading import read_image, read_label
from shared.errors import UserError
from shared.weights.resolve import read_weights
from tests.integration.commands import ROOT

ROUNDS = 60
SECONDS = 60


def _picture(suffix: str, mode: str = "RGB") -> bytes:
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (40, 56, 3), np.uint8).astype(np.uint8)
    file = io.BytesIO()
    picture = Image.fromarray(cv2.GaussianBlur(pixels, (5, 5), 2)).convert(mode)
    picture.save(file, {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper()))
    return file.getvalue()


def _arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    return {"conv.weight": rng.standard_normal((4, 3, 3, 3)).astype(np.float32), "bn._mean": np.zeros(4, np.float32)}


def _archive() -> bytes:
    file = io.BytesIO()
    content = pickle.dumps(_arrays(), 4)
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        entry = tarfile.TarInfo("net/model.pdparams")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def _read_pairs(path: Path) -> None:
    read_list(str(path), str(path.parent), None, False)


def _config(name: str) -> bytes:
    return (ROOT / name).read_bytes()


#: Kind -> file name, a good file's bytes, and what reads it.
KINDS: dict[str, tuple[str, Callable[[], bytes], Callable[[Path], object]]] = {
    "png": ("x.png", lambda: _picture("png"), lambda path: read_image(str(path))),
    "jpeg": ("x.jpg", lambda: _picture("jpg"), lambda path: read_image(str(path))),
    "bmp": ("x.bmp", lambda: _picture("bmp"), lambda path: read_image(str(path))),
    "tiff": ("x.tif", lambda: _picture("tif"), lambda path: read_image(str(path))),
    "webp": ("x.webp", lambda: _picture("webp"), lambda path: read_image(str(path))),
    "gif": ("x.gif", lambda: _picture("gif", "P"), lambda path: read_image(str(path))),
    "grey label": ("x.png", lambda: _picture("png", "L"), lambda path: read_label(str(path))),
    "palette label": ("x.png", lambda: _picture("png", "P"), lambda path: read_label(str(path))),
    "list": ("list.txt", lambda: "".join(f"a {n}.png b/{n}.png\n" for n in range(9)).encode(), _read_pairs),
    "safetensors": ("w.safetensors", lambda: save(_arrays()), read_weights),
    "pdparams": ("w.pdparams", lambda: pickle.dumps(_arrays(), 4), read_weights),
    "pdparams of protocol 2": ("w.pdparams", lambda: pickle.dumps(_arrays(), 2), read_weights),
    "archive": ("w.tar.gz", _archive, read_weights),
    "yaml": (
        "c.yml",
        lambda: _config("configs/camvid/fcn_hrnetw18_small_camvid_240x180_200.yml"),
        lambda path: load_run_config(str(path)),
    ),
    "yacs": (
        "c.yaml",
        lambda: _config("legacy/configs/hrnetw18_cityscapes_1024x512_215.yaml"),
        lambda path: load_static_config(str(path), [], check_lists=()),
    ),
}
#: Kinds whose text is mutated by words as well as by bytes.
TEXTS = ("yaml", "yacs", "list")
WORDS = ("null", "-1", "1e400", "[", "{a: b}", "!!python/object/apply:os.system ['x']", "&a [*a]", "\t", "'", "%", "é")


def mutated(good: bytes, rng: np.random.Generator, is_text: bool) -> bytes:
    """One to four changes: bytes replaced, cut out, doubled or inserted, the end cut off, or a word put in."""
    data = bytearray(good)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(0, max(len(data), 1)))
        length = int(rng.integers(1, 40))
        change = int(rng.integers(0, 7 if is_text else 5))
        if change == 0:
            data[at : at + 1] = rng.bytes(1)
        elif change == 1:
            del data[at : at + length]
        elif change == 2:
            data[at:at] = data[at : at + length]
        elif change == 3:
            data[at:at] = rng.bytes(length)
        elif change == 4:
            del data[at:]
        else:
            lines = data.decode("utf-8", "replace").split("\n")
            lines[int(rng.integers(len(lines)))] += str(rng.choice(WORDS))
            data = bytearray("\n".join(lines).encode())
    return bytes(data)


@contextmanager
def no_hang() -> Iterator[None]:
    """TimeoutError after ``SECONDS``."""

    def ring(*_: object) -> None:
        raise TimeoutError(f"not done after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def refusal(read: Callable[[Path], object], path: Path) -> str | None:
    """The message with which ``read`` refuses a file, None where it reads it; any other exception goes on."""
    try:
        read(path)
    except UserError as error:
        return str(error)
    return None


@pytest.mark.parametrize("kind", list(KINDS))
def test_error_mutated_files_end_in_a_message(kind: str, tmp_path: Path):
    name, good, read = KINDS[kind]
    original = good()
    messages = []
    for n in range(ROUNDS):
        path = tmp_path / str(n) / name
        path.parent.mkdir()
        path.write_bytes(mutated(original, np.random.default_rng([zlib.crc32(kind.encode()), n]), kind in TEXTS))
        with no_hang():
            messages.append(refusal(read, path))
    refusals = [message for message in messages if message is not None]
    assert all(name in message for message in refusals), "a message names no file"
    if kind != "list":  # of a list each line is judged by itself
        assert len(refusals) > ROUNDS // 10, "the mutations hurt nothing"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "list"])
def test_value_the_unmutated_file_is_read(kind: str, tmp_path: Path):
    name, good, read = KINDS[kind]
    (tmp_path / name).write_bytes(good())
    read(tmp_path / name)


def test_value_the_corpus_is_large_and_the_same_every_time():
    assert len(KINDS) * ROUNDS >= 300
    good = _config("configs/_base_/cityscapes.yml")
    assert yaml.safe_load(good)
    first, second = (mutated(good, np.random.default_rng([1, 2]), True) for _ in range(2))
    assert first == second != good
