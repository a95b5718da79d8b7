from __future__ import annotations

import json
import os
import struct

import numpy as np
import pytest

from shared.errors import CheckpointError
from shared.weights.safetensors_file import load_arrays, save_arrays


def _arrays():
    rng = np.random.default_rng(0)
    return {
        "f64": rng.standard_normal((2, 3)),
        "f32": rng.standard_normal((4, 1, 2)).astype(np.float32),
        "f16": rng.standard_normal(5).astype(np.float16),
        "i64": np.array([-(2**62), 7]),
        "i32": np.arange(3, dtype=np.int32),
        "u8": np.arange(4, dtype=np.uint8),
        "flag": np.array([True, False]),
        "scalar": np.array(2.5),
        "count": np.array(9, dtype=np.int64),
        "empty": np.zeros((0, 3), np.float32),
    }


def test_value_round_trip_of_every_dtype(tmp_path):
    arrays = _arrays()
    save_arrays(tmp_path / "a.safetensors", arrays, {"kind": "test"})
    loaded = load_arrays(tmp_path / "a.safetensors")
    assert set(loaded) == set(arrays)
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        assert loaded[name].shape == array.shape
        assert loaded[name].tobytes() == array.tobytes()
        assert loaded[name].flags.c_contiguous
        assert loaded[name].flags.writeable


def test_value_memory_order_and_byte_order_do_not_matter(tmp_path):
    base = np.arange(6, dtype=np.float32).reshape(2, 3)
    arrays = {"fortran": np.asfortranarray(base), "view": base.T, "step": base[:, ::2], "big": base.astype(">f4")}
    save_arrays(tmp_path / "a.safetensors", arrays)
    loaded = load_arrays(tmp_path / "a.safetensors")
    for name, expected in {"fortran": base, "view": base.T, "step": [[0, 2], [3, 5]], "big": base}.items():
        np.testing.assert_array_equal(loaded[name], expected)
        assert loaded[name].dtype == np.dtype("=f4")


def test_value_bytes_on_disk_follow_the_format(tmp_path):
    """The header length, the JSON header and the little-endian numbers, read here by hand."""
    path = tmp_path / "a.safetensors"
    save_arrays(path, {"w": np.array([[1.0, -2.0]], np.float32)}, {"kind": "test"})
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    assert header["__metadata__"] == {"kind": "test"}
    assert (header["w"]["dtype"], header["w"]["shape"]) == ("F32", [1, 2])
    assert content[8 + length :] == struct.pack("<2f", 1.0, -2.0)


def test_value_file_mode_follows_the_umask(tmp_path):
    former = os.umask(0o022)
    try:
        save_arrays(tmp_path / "a.safetensors", {})
    finally:
        os.umask(former)
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == 0o644


def test_error_while_writing_leaves_the_former_file(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save_arrays(path, {"w": np.ones(2)})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_arrays(path, {"w": np.zeros(2)})
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]
    np.testing.assert_array_equal(load_arrays(path)["w"], np.ones(2))


def test_error_object_dtype_names_the_array(tmp_path):
    with pytest.raises(ValueError, match=r"'w' has dtype object"):
        save_arrays(tmp_path / "a.safetensors", {"w": np.array([None])})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keep", [0, 5, 30, -1])
def test_error_truncated_names_the_file(tmp_path, keep):
    path = tmp_path / "a.safetensors"
    save_arrays(path, _arrays())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"a\.safetensors is damaged"):
        load_arrays(path)


def test_error_not_safetensors(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_text("this is a text file, nothing more" * 5)
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_arrays(path)
    with pytest.raises(CheckpointError, match="is not a file"):
        load_arrays(tmp_path / "missing.safetensors")
    with pytest.raises(CheckpointError, match="is not a file"):
        load_arrays(tmp_path)


def test_error_dtype_numpy_lacks(tmp_path):
    header = json.dumps({"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)
    with pytest.raises(CheckpointError, match="NumPy does not know"):
        load_arrays(path)
