"""Unpacking: whole or not at all, and never outside its folder."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile

import numpy as np
import pytest

import shared.download.unpack
from shared.download.unpack import lies_outside, unpack
from shared.errors import DownloadError

FILES = {"set/a.txt": b"first", "set/deep/er/b.bin": np.random.default_rng(0).bytes(100_000), "set/empty": b""}


def make(path, members):
    """A ZIP or a tar of name -> bytes, or None for a folder."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(f"{name}/" if content is None else name, content or b"")
    else:
        with tarfile.open(path, "w") as archive:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
                info.size = len(content or b"")
                archive.addfile(info, io.BytesIO(content or b""))
    return path


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(params=["a.zip", "a.tar"])
def archive_path(request, tmp_path):
    return tmp_path / request.param


def refused(path, match):
    """The error of unpacking ``path``, which leaves nothing."""
    before = sorted(os.listdir(path.parent))
    with pytest.raises(DownloadError, match=match):
        unpack(path, path.parent / "out", "set")
    assert sorted(os.listdir(path.parent)) == before


def test_value_what_is_below_the_folder(archive_path):
    make(archive_path, {"set": None, "set/deep": None, **FILES, "__MACOSX/._a": b"junk", "readme": b"junk"})
    unpack(archive_path, archive_path.parent / "out", "set")
    assert contents(archive_path.parent / "out") == {name[len("set/") :]: data for name, data in FILES.items()}
    assert sorted(os.listdir(archive_path.parent)) == [archive_path.name, "out"]


def test_value_leftovers_of_a_killed_process_are_removed(archive_path):
    make(archive_path, FILES)
    half = archive_path.parent / ".out.unpacking"
    half.mkdir()
    (half / "stale").write_text("half")
    unpack(archive_path, archive_path.parent / "out", "set")
    assert "stale" not in contents(archive_path.parent / "out")
    assert not half.exists()


def test_value_a_tar_of_names_with_dots_in_front(tmp_path):
    make(tmp_path / "a.tar", {"./set/a.txt": b"x"})
    unpack(tmp_path / "a.tar", tmp_path / "out", "set")
    assert contents(tmp_path / "out") == {"a.txt": b"x"}


@pytest.mark.parametrize("name", ["../evil", "set/../../evil", "/etc/evil", "..\\evil", "set\\..\\..\\evil", "C:/evil"])
def test_error_member_outside(archive_path, name):
    refused(make(archive_path, {**FILES, name: b"x"}), "lies outside the archive")
    assert lies_outside(name)


@pytest.mark.parametrize("name", ["set/a", "set/..a", "a..b/c", "set/a:b"])
def test_value_harmless_names(name):
    assert not lies_outside(name)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_error_links_and_devices_in_a_tar(tmp_path, kind):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("set/x")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    refused(tmp_path / "a.tar", "'set/x' is a link or a device")


def test_error_link_in_a_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("set/x")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    refused(tmp_path / "a.zip", "'set/x' is a link or a device")


def test_error_encrypted(tmp_path):
    make(tmp_path / "a.zip", {"set/a": b"secret"})
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag in the directory at the end
    (tmp_path / "a.zip").write_bytes(bytes(data))
    refused(tmp_path / "a.zip", "'set/a' is encrypted")


def test_error_too_much(archive_path, monkeypatch):
    make(archive_path, {"set/zeros": bytes(3_000_000)})
    monkeypatch.setattr(shared.download.unpack, "MAX_UNPACKED_BYTES", 1_000_000)
    refused(archive_path, "unpacks to more than 1000000 bytes")


def test_error_too_many(archive_path, monkeypatch):
    monkeypatch.setattr(shared.download.unpack, "MAX_MEMBERS", 5)
    refused(make(archive_path, {f"set/{i}": b"" for i in range(6)}), "more than 5 members")


def test_error_another_archive(archive_path):
    refused(make(archive_path, {"other/a": b"", "readme": b""}), "has no folder 'set'; it holds other, readme")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.98])
def test_error_cut_off(archive_path, share):
    make(archive_path, FILES)
    data = archive_path.read_bytes()
    end = data.rindex(b"first") if archive_path.suffix == ".tar" and share > 0.9 else int(share * len(data))
    archive_path.write_bytes(data[:end])
    refused(archive_path, "is damaged or no (ZIP|tar) archive .*delete it to fetch it again")


def test_error_flipped_bit_in_a_zip(tmp_path):
    make(tmp_path / "a.zip", FILES)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[len(data) // 2] ^= 0x10
    (tmp_path / "a.zip").write_bytes(bytes(data))
    refused(tmp_path / "a.zip", "is damaged")


def test_error_missing(archive_path):
    refused(archive_path, "No such file")


def test_error_disk_full(archive_path, monkeypatch):
    make(archive_path, FILES)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    refused(archive_path, "disk full: .*out")
