"""Files made to do harm: each is refused with a sentence, quickly, and nothing in it is run. See also test_fuzz.py."""

from __future__ import annotations

import io
import json
import os
import struct
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import shared.download.fetch
from scripts.ladder.bits import Both, Comparison
from scripts.ladder.page import page
from scripts.ladder.report import Report
from scripts.ladder.rung import RUNGS, Rung
from shared.config.yaml_file import load_config_file
from shared.datasets.reading import read_image, read_label
from shared.download.fetch import cached_path, fetch
from shared.download.unpack import unpack
from shared.engine.checkpoint import _sealed, load_checkpoint
from shared.errors import CheckpointError, ConfigError, DataError, DownloadError
from shared.weights.safetensors_file import load_arrays
from tests.shared.download.server import be_impatient, running

READERS = [read_image, read_label]
QUICK = 20.0  # seconds, on a busy machine


@pytest.fixture(autouse=True)
def quickly():
    """Nothing here may take long, or it is a way to keep a machine busy."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < QUICK


def png(width: int, height: int, chunks: bytes = b"") -> bytes:
    """A PNG of one bit a pixel whose pixels are not there."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunks + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def bmp(width: int, height: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header


def tiff(width: int, height: int) -> bytes:
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    entries += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 8)]
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + table + bytes(4)


def gif(width: int, height: int) -> bytes:
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + frame + b";"


BOMBS = {
    "png": png(2**31 - 1, 2**31 - 1),
    "png of 2^28 and a column": png(2**14 + 1, 2**14),
    "jpeg": b"\xff\xd8\xff\xc0\0\x0b\x08\xff\xff\xff\xff\x01\x01\x11\0\xff\xda\0\x08\x01\x01\0\0\x3f\0\xff\xd9",
    "bmp": bmp(40_000, 40_000),
    "tiff": tiff(60_000, 60_000),
    "gif": gif(65_535, 65_535),
    "ppm": b"P5 60000 60000 255\n",
}


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("name", BOMBS)
def test_error_a_few_bytes_that_announce_much(read, name, tmp_path):
    path = tmp_path / f"x.{name.split()[0]}"
    path.write_bytes(BOMBS[name])
    with pytest.raises(DataError, match=r"too large|more than 268435456 pixels") as caught:
        read(str(path))
    assert str(path) in str(caught.value)
    assert caught.value.cause == "large"


def several(kind: str) -> bytes:
    frames = [Image.fromarray(np.full((8, 8), shade, np.uint8)) for shade in (10, 200)]
    file = io.BytesIO()
    options = {"compression": "raw"} if kind == "TIFF" else {}
    frames[0].save(file, kind, save_all=True, append_images=frames[1:], **options)
    return file.getvalue()


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_error_several_pictures_in_one_file(read, kind, tmp_path):
    path = tmp_path / f"x.{kind.lower()}"
    path.write_bytes(several(kind))
    with pytest.raises(DataError, match=rf"holds several pictures \(an animated or multi-page {kind}\), expected one"):
        read(str(path))
    Image.open(io.BytesIO(several(kind))).convert("L").save(path, kind)
    assert read_image(str(path)).shape[:2] == (8, 8), "a single one of that format is read"


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(MARK) (w) file (run) writestring\n%%EOF\n"
ODD = {
    "eps": POSTSCRIPT,
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    "psd": b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 8, 8, 8, 3) + bytes(64),
    "ico": b"\0\0\x01\0\x01\0\x08\x08\0\0\x01\0\x20\0\x10\0\0\0\x16\0\0\0" + bytes(16),
    "pcx": b"\x0a\x05\x01\x08" + struct.pack("<HHHH", 0, 0, 7, 7) + bytes(116) + b"\xc8\0" * 8,
    "fits": b"SIMPLE  =                    T".ljust(80) + b"END".ljust(2800),
    "hdr": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 8 +X 8\n" + bytes(256),
    "exr": b"\x76\x2f\x31\x01" + bytes(200),
    "ras": b"\x59\xa6\x6a\x95" + struct.pack(">IIIIIII", 8, 8, 8, 64, 1, 0, 0) + bytes(64),
}


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("name", ODD)
def test_error_formats_that_are_not_read(read, name, tmp_path):
    """Whatever the decoders here could make of them, and whatever the file's name says."""
    for path in (tmp_path / f"x.{name}", tmp_path / "x.png"):
        path.write_bytes(ODD[name].replace(b"MARK", str(tmp_path / "mark").encode()))
        with pytest.raises(DataError, match=r"is not an image of a format that is read \(PNG, JPEG, .*save it as PNG"):
            read(str(path))
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("read", READERS)
def test_error_what_is_no_file(read, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(2**31 + 1)  # takes no room
    for name, words in (("pipe", "a pipe, a socket or a"), ("folder", "a folder"), ("large", "2147483649 bytes")):
        with pytest.raises(DataError, match=rf"{name}\.png: .*{words}"):
            read(str(tmp_path / f"{name}.png"))
    with pytest.raises(DataError, match="a pipe, a socket or a device"):
        read("/dev/zero")


LAUGHS = "a0: &a0 [ha, ha]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
CONFIGS = {
    "laughs": (LAUGHS, "comes to more than 100000 values"),
    "nested": ("[" * 50_000, "nested more than 64 deep"),
    "nested mappings": ("".join("  " * n + "a:\n" for n in range(80)), "nested more than 64 deep"),
    "itself": ("model: &m {type: FCN, backbone: *m}", "nested more than 64 deep"),
    "python": ("model: !!python/object/apply:os.system ['touch mark']", "could not determine a constructor"),
    "nul": ('save_dir: "out\\0put"', "holds a NUL character"),
    "number": ("batch_size: 0x" + "f" * 5000, "an integer of 20000 bits, expected at most 63"),
    "large": ("# " + "x" * 2**20, "more than 1048576 characters"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_error_configs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, words = CONFIGS[name]
    Path("run.yml").write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        load_config_file("run.yml")
    assert len(str(caught.value)) < 500
    assert os.listdir(".") == ["run.yml"]


def header(length: int, text: str) -> bytes:
    return struct.pack("<Q", length) + text.encode()


WEIGHTS = {
    "a header beyond the end": header(2**62, "{}"),
    "no JSON": header(8, "{[[[[[[["),
    "nested": header(200_000, "[" * 200_000),
    "beyond the data": header(56, '{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'.ljust(56)),
    "larger than its bytes": header(66, '{"w":{"dtype":"F32","shape":[4294967296],"data_offsets":[0,16]}}'.ljust(66))
    + bytes(16),
    "from behind": header(58, '{"w":{"dtype":"F32","shape":[4],"data_offsets":[16,0]}}'.ljust(58)) + bytes(16),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_error_safetensors(name, tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(WEIGHTS[name])
    with pytest.raises(CheckpointError, match=r"w\.safetensors"):
        load_arrays(path)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"iteration": ' + "9" * 10_000 + "}", '{"format_version": 1, "checksum": NaN}', "\0" * 99]
)
def test_error_states(text, tmp_path):
    (tmp_path / "iter_1").mkdir()
    (tmp_path / "iter_1/state.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"state\.json is damaged"):
        load_checkpoint(tmp_path / "iter_1")


def test_error_a_state_that_is_sealed_and_wrong(tmp_path):
    """A checksum says that a file is whole, not that it is well meant."""
    files = {"model.safetensors": {}, "optimizer.safetensors": {}}
    good = {"format_version": 1, "iteration": 1, "extra": {}, "config": {}, "mode": "eager", "versions": {}}
    good = {**good, "best": None, "files": files}
    wrong = [{"iteration": -1}, {"extra": {"seed": "x"}}, {"extra": {"seed": -3}}, {"extra": []}, {"best": []}]
    for change in ({}, *wrong):
        (tmp_path / "state.json").write_text(json.dumps(_sealed({**good, **change})))
        words = r"state\.json is damaged" if change else r"model\.safetensors is missing"
        with pytest.raises(CheckpointError, match=words):
            load_checkpoint(tmp_path)


def test_error_a_zip_that_lies_about_its_size(tmp_path):
    """The headers promise ten bytes; what is behind them comes to ten megabytes."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("top/a.bin", bytes(10_000_000))
    content = path.read_bytes().replace(struct.pack("<I", 10_000_000), struct.pack("<I", 10))
    path.write_bytes(content)
    with pytest.raises(DownloadError, match="is damaged or no ZIP archive"):
        unpack(path, tmp_path / "out", "top")
    assert sorted(os.listdir(tmp_path)) == ["x.zip"]


OUTSIDE = ["top/../../mark", "/mark", "top\\..\\..\\mark", "C:\\mark", "../top/mark", "//host/mark"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_error_a_zip_that_leads_out(name, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("top/good.txt", "good")
        archive.writestr(zipfile.ZipInfo(name), "bad")
    with pytest.raises(DownloadError, match=r"is refused: its member .* lies outside"):
        unpack(tmp_path / "x.zip", tmp_path / "deep/er/out", "top")
    assert sorted(os.listdir(tmp_path)) == ["x.zip"]


@pytest.mark.parametrize("expected", [None, 100_000])
@pytest.mark.parametrize("announced", [True, False])
def test_error_a_download_that_never_ends(expected, announced, tmp_path, monkeypatch):
    be_impatient(monkeypatch)
    monkeypatch.setattr(shared.download.fetch, "MAX_BYTES", 100_000)
    monkeypatch.setattr(shared.download.fetch, "_BLOCK", 1000)
    size = "3000000" if announced else r"10\d\d00"  # what was announced is not waited for
    words = "more than 100000 bytes" if expected is None else f"{size} bytes instead of 100000"
    with running(bytes(3_000_000)) as server:
        server.announced = announced
        with pytest.raises(DownloadError, match=rf"has {words}: the file there is not the expected one"):
            fetch(server.url, tmp_path, expected_size=expected)
        assert len(server.asked) == 1, "it is not asked again"
        kept = cached_path(server.url, tmp_path).parent
        assert [path.name for path in kept.iterdir() if path.suffix != ".lock"] == []


def test_value_names_are_text_in_the_report():
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&"
    differs = [Comparison(evil, 10, 0.5, 0.5, 3, 5, evil), Comparison(evil, -1, note=evil)]
    rungs = [Rung(name, differs) for name in RUNGS] + [Rung(RUNGS[0], left_out=evil)]
    report = Report(evil, rungs, Both([1.0, 2.0], [1.0, 2.5]), {evil: evil})
    text = page(report)
    assert "<script" not in text.replace("<style", "")
    assert "<img" not in text
    assert "onerror=alert(2)&gt;" in text
