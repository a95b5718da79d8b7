from __future__ import annotations

import gzip
import io
import pickle
import tarfile

import numpy as np
import pytest

from shared.errors import CheckpointError
from shared.weights.archive import load_archive
from shared.weights.safetensors_file import save_arrays

WEIGHTS = pickle.dumps({"conv.weight": np.arange(4, dtype=np.float32)}, 4)


def _archive(path, members):
    """``members``: name -> bytes, None for a folder, or a ready TarInfo."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if content is None:
                info.type = tarfile.DIRTYPE
            if isinstance(content, bytes):
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return path


def _special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_value_folder_with_model_pdparams(tmp_path):
    members = {
        "resnet50": None,
        "resnet50/._model.pdparams": b"macOS leaves these",
        "resnet50/readme.txt": b"hello",
        "resnet50/model.pdparams": WEIGHTS,
        "resnet50/ema.pdparams": b"another one",
    }
    loaded = load_archive(_archive(tmp_path / "w.tar.gz", members))
    assert list(loaded) == ["conv.weight"]
    np.testing.assert_array_equal(loaded["conv.weight"], [0, 1, 2, 3])
    assert [p.name for p in tmp_path.iterdir()] == ["w.tar.gz"]


def test_value_a_single_file_of_any_name(tmp_path):
    loaded = load_archive(_archive(tmp_path / "w.tgz", {"./hrnet_w18.pdparams": WEIGHTS}))
    np.testing.assert_array_equal(loaded["conv.weight"], [0, 1, 2, 3])


def test_value_safetensors_inside(tmp_path):
    save_arrays(tmp_path / "m.safetensors", {"w": np.array([5.0, 6.0])})
    content = (tmp_path / "m.safetensors").read_bytes()
    loaded = load_archive(_archive(tmp_path / "w.tar.gz", {"net/model.safetensors": content}))
    np.testing.assert_array_equal(loaded["w"], [5, 6])


@pytest.mark.parametrize("name", ["../evil.pdparams", "a/../../evil", "/etc/evil", "..\\evil", "C:/evil"])
def test_error_member_outside(tmp_path, name):
    path = _archive(tmp_path / "w.tar.gz", {"model.pdparams": WEIGHTS, name: b"x"})
    with pytest.raises(CheckpointError, match="lies outside the archive"):
        load_archive(path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_error_links_and_devices(tmp_path, kind):
    members = {"model.pdparams": WEIGHTS, "x": _special("x", kind, "/etc/passwd")}
    with pytest.raises(CheckpointError, match="'x' is a link, a device"):
        load_archive(_archive(tmp_path / "w.tar.gz", members))


def test_error_a_link_named_like_the_weights(tmp_path):
    members = {"model.pdparams": _special("model.pdparams", tarfile.SYMTYPE, "/etc/passwd")}
    with pytest.raises(CheckpointError, match="is a link"):
        load_archive(_archive(tmp_path / "w.tar.gz", members))


def test_error_unpacks_to_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr("shared.weights.archive.MAX_UNPACKED_BYTES", 1_000_000)
    path = _archive(tmp_path / "w.tar.gz", {"zeros": bytes(3_000_000), "model.pdparams": WEIGHTS})
    assert path.stat().st_size < 10_000
    with pytest.raises(CheckpointError, match="unpacks to more than 1000000 bytes"):
        load_archive(path)


def test_error_too_many_members(tmp_path, monkeypatch):
    monkeypatch.setattr("shared.weights.archive._MAX_MEMBERS", 5)
    with pytest.raises(CheckpointError, match="more than 5 members"):
        load_archive(_archive(tmp_path / "w.tar.gz", {f"f{i}": b"" for i in range(6)}))


def test_error_none_or_several(tmp_path):
    with pytest.raises(CheckpointError, match=r"holds no \.pdparams .* it holds \['net/readme.txt'\]"):
        load_archive(_archive(tmp_path / "w.tar.gz", {"net/readme.txt": b""}))
    several = {"a.pdparams": WEIGHTS, "b.pdparams": WEIGHTS}
    with pytest.raises(CheckpointError, match=r"several weights files: \['a.pdparams', 'b.pdparams'\]"):
        load_archive(_archive(tmp_path / "w.tar.gz", several))
    with pytest.raises(CheckpointError, match="several weights files"):
        load_archive(_archive(tmp_path / "w.tar.gz", {"a/model.pdparams": WEIGHTS, "b/model.pdparams": WEIGHTS}))


def test_error_damaged(tmp_path):
    rng = np.random.default_rng(0)
    path = _archive(tmp_path / "w.tar.gz", {"model.pdparams": pickle.dumps({"w": rng.random(5000)}, 4)})
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0x10
    for content in (
        b"",
        whole[:10],
        whole[: len(whole) // 2],
        bytes(flipped),
        b"text " * 100,
        gzip.compress(b"no tar"),
    ):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"w\.tar\.gz"):
            load_archive(path)
    with pytest.raises(CheckpointError, match="is not a file"):
        load_archive(tmp_path / "missing.tgz")


def test_error_hostile_pickle_inside(tmp_path):
    path = _archive(tmp_path / "w.tar.gz", {"net/model.pdparams": b"cos\nsystem\n(S'true'\ntR."})
    with pytest.raises(CheckpointError, match=r"w\.tar\.gz:net/model\.pdparams.*os\.system"):
        load_archive(path)
