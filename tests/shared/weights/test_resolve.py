from __future__ import annotations

import json
import pickle
import tarfile

import numpy as np
import pytest

import shared.weights.resolve
from shared.errors import CheckpointError
from shared.weights.resolve import read_weights
from shared.weights.safetensors_file import save_arrays

VALUES = np.array([1.0, 2.0], np.float32)


def _write_pdparams(path, values=VALUES):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps({"w": values}, 4))
    return path


def _write_safetensors(path, values=VALUES):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_arrays(path, {"w": values})
    return path


def _assert_values(arrays, values=VALUES):
    assert list(arrays) == ["w"]
    np.testing.assert_array_equal(arrays["w"], values)


def test_value_files_of_every_kind(tmp_path):
    pdparams = _write_pdparams(tmp_path / "a.pdparams")
    _assert_values(read_weights(str(pdparams)))
    _assert_values(read_weights(pdparams))
    _assert_values(read_weights(str(_write_safetensors(tmp_path / "a.safetensors"))))
    for name in ("a.tar.gz", "a.tgz"):
        with tarfile.open(tmp_path / name, "w:gz") as archive:
            archive.add(pdparams, "net/model.pdparams")
        _assert_values(read_weights(str(tmp_path / name)))


def test_value_folders(tmp_path):
    _write_safetensors(tmp_path / "ours" / "iter_5" / "model.safetensors")
    _assert_values(read_weights(str(tmp_path / "ours" / "iter_5")))
    _write_pdparams(tmp_path / "paddleseg" / "iter_5" / "model.pdparams")
    _assert_values(read_weights(str(tmp_path / "paddleseg" / "iter_5")))
    _write_safetensors(tmp_path / "run" / "best_model" / "model.safetensors")
    _assert_values(read_weights(str(tmp_path / "run")))
    _write_pdparams(tmp_path / "old_run" / "best_model" / "model.pdparams")
    _assert_values(read_weights(str(tmp_path / "old_run")))


def test_value_safetensors_come_before_pdparams(tmp_path):
    _write_pdparams(tmp_path / "model.pdparams", VALUES + 1)
    _write_safetensors(tmp_path / "model.safetensors")
    _assert_values(read_weights(str(tmp_path)))


def test_value_url_goes_through_the_cache(tmp_path, monkeypatch):
    asked = []

    def fetch(url):
        asked.append(url)
        return _write_pdparams(tmp_path / "cache" / "model.pdparams")

    monkeypatch.setattr(shared.weights.resolve, "fetch", fetch)
    _assert_values(read_weights("https://example.org/net/model.pdparams?version=2"))
    assert asked == ["https://example.org/net/model.pdparams?version=2"]


def test_error_damaged_download_names_the_url(tmp_path, monkeypatch):
    path = tmp_path / "model.pdparams"
    path.write_bytes(b"an error page")
    monkeypatch.setattr(shared.weights.resolve, "fetch", lambda _: path)
    with pytest.raises(CheckpointError, match=r"fetched from https://example\.org/model\.pdparams; delete the file"):
        read_weights("https://example.org/model.pdparams")


def test_error_url_of_another_kind_is_not_fetched(monkeypatch):
    monkeypatch.setattr(shared.weights.resolve, "fetch", lambda _: pytest.fail("fetched"))
    with pytest.raises(CheckpointError, match=r"is no weights file: expected one of \.safetensors, \.pdparams"):
        read_weights("https://example.org/model.zip")


def test_error_missing_says_what_lies_there(tmp_path):
    _write_pdparams(tmp_path / "best.pdparams")
    (tmp_path / "iter_5").mkdir()
    with pytest.raises(CheckpointError, match=r"no weights at .*bset\.pdparams.*holds best\.pdparams, iter_5/"):
        read_weights(str(tmp_path / "bset.pdparams"))
    with pytest.raises(CheckpointError, match="is not there either"):
        read_weights(str(tmp_path / "nowhere" / "a.pdparams"))
    with pytest.raises(CheckpointError, match=r"tried model\.safetensors, .*holds best\.pdparams, iter_5/"):
        read_weights(str(tmp_path))
    with pytest.raises(CheckpointError, match="holds nothing"):
        read_weights(str(tmp_path / "iter_5"))
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(CheckpointError, match=r"a\.txt is no weights file"):
        read_weights(str(tmp_path / "a.txt"))


def test_error_flipped_bit_beside_a_recorded_checksum(tmp_path):
    """safetensors has no checksum of its own: a flipped bit in the numbers shows only against ``state.json``."""
    from hashlib import sha256

    path = _write_safetensors(tmp_path / "model.safetensors")
    content = bytearray(path.read_bytes())
    recorded = {"bytes": len(content), "sha256": sha256(content).hexdigest()}
    (tmp_path / "state.json").write_text(json.dumps({"files": {"model.safetensors": recorded}}))
    _assert_values(read_weights(str(tmp_path)))
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged: its SHA-256"):
        read_weights(str(tmp_path))
