from __future__ import annotations

import errno
import json
import logging
import os
import shutil
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import safetensors.numpy

import shared.engine.checkpoint_folder
import shared.weights.atomic
from shared.engine.checkpoint import (
    Progress,
    _sealed,
    find_resumable,
    load_checkpoint,
    resolve_resume,
    save_best,
    save_checkpoint,
    update_progress,
    verify_checkpoint,
)
from shared.engine.stepper import StepperState
from shared.errors import CheckpointError
from shared.weights.resolve import read_weights

FILES = ["model.safetensors", "optimizer.safetensors", "state.json"]


def _state(seed=0):
    rng = np.random.default_rng(seed)
    model = {"conv.weight": rng.standard_normal((4, 3, 3, 3)).astype(np.float32), "bn._mean": rng.standard_normal(4)}
    return StepperState(model, {"velocity/conv.weight": rng.standard_normal((4, 3, 3, 3)).astype(np.float32)})


def _save(save_dir, iteration, keep_max=0, seed=None, **progress):
    state = _state(iteration if seed is None else seed)
    return save_checkpoint(
        save_dir, state, Progress(iteration, **progress), mode="eager", config={"iters": 100}, keep_max=keep_max
    )


def _names(folder):
    return sorted(p.name for p in folder.iterdir())


def _equal(a: dict, b: dict):
    assert list(a) == list(b)
    for name in a:
        assert a[name].dtype == b[name].dtype
        assert a[name].tobytes() == b[name].tobytes()


def test_value_round_trip(tmp_path):
    generator = np.random.default_rng(3)
    extra = {
        "epoch": 7,
        "learning_rate": 0.1 + 0.2,
        "seed": np.int64(5),
        "loss_scale": np.float32(0.5),
        "sampler": (1, np.arange(3)),
        "random": generator.bit_generator.state,
    }
    state, config = _state(), MappingProxyType({"crop_hw": (512, 1024), "loss": MappingProxyType({"type": "X"})})
    progress = Progress(500, 0.1 + 0.7, 400, extra)
    versions = {"dualseg": "1.0", "paddle": "3.3.1"}
    path = save_checkpoint(
        tmp_path / "run", state, progress, mode="static", config=config, keep_max=3, versions=versions
    )
    assert path == tmp_path / "run" / "iter_500"
    assert _names(tmp_path / "run") == ["iter_500"]
    assert _names(path) == FILES
    loaded, found, meta = load_checkpoint(path)
    _equal(loaded.model, dict(sorted(state.model.items())))
    _equal(loaded.optimizer, state.optimizer)
    assert (found.iteration, found.best_score, found.best_iteration) == (500, 0.1 + 0.7, 400)
    assert found.extra["learning_rate"] == 0.1 + 0.2
    assert found.extra["sampler"] == [1, [0, 1, 2]]
    assert (found.extra["seed"], found.extra["loss_scale"]) == (5, 0.5)
    assert meta["mode"] == "static"
    assert meta["versions"] == versions
    assert meta["config"] == {"crop_hw": [512, 1024], "loss": {"type": "X"}}
    resumed = np.random.default_rng()
    resumed.bit_generator.state = found.extra["random"]
    assert resumed.random() == generator.random()


@pytest.mark.parametrize("scaler", [None, {"scale": 4096.0, "good": 17, "bad": 1}])
def test_value_the_loss_scale_is_kept_with_the_progress(tmp_path, scaler):
    state = _state()
    state.scaler = scaler
    path = save_checkpoint(tmp_path, state, Progress(1), mode="eager", config={}, keep_max=1)
    assert load_checkpoint(path)[0].scaler == scaler
    update_progress(path, Progress(1, 0.5, 1))
    assert load_checkpoint(path)[0].scaler == scaler
    assert load_checkpoint(save_best(tmp_path, path))[0].scaler == scaler


def test_value_a_checkpoint_from_before_loss_scaling_loads(tmp_path):
    path = _save(tmp_path, 1)
    meta = {key: value for key, value in json.loads((path / "state.json").read_text()).items() if key != "scaler"}
    (path / "state.json").write_text(json.dumps(_sealed(meta)))
    assert load_checkpoint(path)[0].scaler is None


def test_error_a_damaged_loss_scale(tmp_path):
    path = _save(tmp_path, 1)
    meta = {**json.loads((path / "state.json").read_text()), "scaler": {"scale": "4"}}
    (path / "state.json").write_text(json.dumps(_sealed(meta)))
    with pytest.raises(CheckpointError, match="is damaged"):
        load_checkpoint(path)


def test_value_files_are_readable_by_others(tmp_path):
    """Plain safetensors and JSON, with sizes and digests that hashlib confirms."""
    path = _save(tmp_path, 5, seed=1)
    weights = safetensors.numpy.load_file(path / "model.safetensors")
    np.testing.assert_array_equal(weights["conv.weight"], _state(1).model["conv.weight"])
    meta = json.loads((path / "state.json").read_text())
    assert meta["format_version"] == 1
    assert meta["iteration"] == 5
    assert meta["best"] is None
    for name in FILES[:2]:
        content = (path / name).read_bytes()
        assert meta["files"][name] == {"bytes": len(content), "sha256": sha256(content).hexdigest()}


def test_value_no_optimizer_state_and_integer_score(tmp_path):
    state = StepperState({"w": np.ones(2, np.float32)}, {})
    path = save_checkpoint(tmp_path, state, Progress(1, 0, 1), mode="eager", config={}, keep_max=1)
    loaded, progress, _ = load_checkpoint(path)
    assert loaded.optimizer == {}
    assert progress.best_score == 0.0


def test_value_replaces_a_checkpoint_of_the_same_name(tmp_path):
    _save(tmp_path, 5, seed=1)
    path = _save(tmp_path, 5, seed=2)
    _equal(load_checkpoint(path)[0].optimizer, _state(2).optimizer)
    assert _names(tmp_path) == ["iter_5"]


def test_value_keeps_the_newest(tmp_path):
    for iteration in (5, 10, 100, 20):  # by number, not by name
        _save(tmp_path, iteration)
    _save(tmp_path, 30, keep_max=2)
    assert _names(tmp_path) == ["iter_100", "iter_30"]
    _save(tmp_path, 1, keep_max=1)
    assert _names(tmp_path) == ["iter_1"]
    for iteration in range(2, 12):
        _save(tmp_path, iteration, keep_max=0)
    assert len(_names(tmp_path)) == 11


def test_value_other_programs_folders_are_not_removed(tmp_path):
    (tmp_path / "iter_3").mkdir()
    (tmp_path / "iter_3" / "model.pdparams").write_bytes(b"x")
    (tmp_path / "iter_notes").mkdir()
    (tmp_path / ".git.tmp-1").mkdir()
    _save(tmp_path, 5, keep_max=1)
    _save(tmp_path, 6, keep_max=1)
    assert _names(tmp_path) == [".git.tmp-1", "iter_3", "iter_6", "iter_notes"]


def test_value_best_survives_the_removal_of_its_checkpoint(tmp_path):
    best = save_best(tmp_path, _save(tmp_path, 5, best_score=0.5, best_iteration=5))
    assert best == tmp_path / "best_model"
    assert (best / FILES[0]).samefile(tmp_path / "iter_5" / FILES[0])  # a hard link
    _save(tmp_path, 6, keep_max=1)
    assert _names(tmp_path) == ["best_model", "iter_6"]
    state, progress, _ = load_checkpoint(best)
    _equal(state.optimizer, _state(5).optimizer)
    assert (progress.iteration, progress.best_score) == (5, 0.5)
    save_best(tmp_path, tmp_path / "iter_6")
    assert load_checkpoint(best)[1].iteration == 6
    assert _names(tmp_path) == ["best_model", "iter_6"]
    np.testing.assert_array_equal(read_weights(tmp_path)["conv.weight"], _state(6).model["conv.weight"])


def test_value_best_is_copied_where_links_are_unknown(tmp_path, monkeypatch):
    def no_links(source, target):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    best = save_best(tmp_path, _save(tmp_path, 5))
    assert not (best / FILES[0]).samefile(tmp_path / "iter_5" / FILES[0])
    assert verify_checkpoint(best)["iteration"] == 5


def test_error_best_of_an_incomplete_checkpoint_keeps_the_former(tmp_path):
    save_best(tmp_path, _save(tmp_path, 5))
    broken = _save(tmp_path, 6)
    (broken / "optimizer.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"optimizer\.safetensors is missing"):
        save_best(tmp_path, broken)
    with pytest.raises(CheckpointError, match="is not a folder"):
        save_best(tmp_path, tmp_path / "iter_7")
    assert verify_checkpoint(tmp_path / "best_model")["iteration"] == 5
    assert _names(tmp_path) == ["best_model", "iter_5", "iter_6"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "truncated", "flipped"])
def test_error_damaged_file_is_named(tmp_path, name, damage):
    path = _save(tmp_path, 5, best_score=0.25, best_iteration=5)
    file = path / name
    content = bytearray(file.read_bytes())
    if damage == "missing":
        file.unlink()
    elif damage == "truncated":
        file.write_bytes(content[:-7])
    else:
        place = content.index(b'"miou": 0.25') + 10 if name == "state.json" else len(content) - 1
        content[place] ^= 1
        file.write_bytes(content)
    words = {"missing": "is missing", "truncated": "is damaged", "flipped": "is damaged"}[damage]
    with pytest.raises(CheckpointError, match=f"{name} {words}"):
        load_checkpoint(path)


@pytest.mark.parametrize("text", ["", "not json", "[]", "3", '"x"', "{}", '{"format_version": 1}', "\udc80"])
def test_error_state_garbage(tmp_path, text):
    path = _save(tmp_path, 5)
    (path / "state.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CheckpointError, match=r"state\.json is damaged"):
        load_checkpoint(path)


def test_error_newer_format(tmp_path):
    path = _save(tmp_path, 5)
    meta = json.loads((path / "state.json").read_text())
    (path / "state.json").write_text(json.dumps({**meta, "format_version": 2}))
    with pytest.raises(CheckpointError, match="has format 2, this DualSeg reads up to 1; update"):
        load_checkpoint(path)


def test_error_paddleseg_checkpoint_says_how_to_use_its_weights(tmp_path):
    old = tmp_path / "iter_9"
    old.mkdir()
    (old / "model.pdparams").write_bytes(b"x")
    (old / "model.pdopt").write_bytes(b"x")
    for call in (lambda: load_checkpoint(old), lambda: resolve_resume(str(old), tmp_path)):
        with pytest.raises(CheckpointError, match=r"PaddleSeg checkpoint.*--opts model\.pretrained=.*model\.pdparams"):
            call()


def test_error_wrong_arguments(tmp_path):
    state = _state()
    with pytest.raises(ValueError, match="mode is 'dynamic'"):
        save_checkpoint(tmp_path, state, Progress(1), mode="dynamic", config={}, keep_max=1)
    with pytest.raises(ValueError, match=r"cannot hold .* of type object"):
        save_checkpoint(tmp_path, state, Progress(1), mode="eager", config={"x": object()}, keep_max=1)
    with pytest.raises(ValueError, match="cannot hold"):
        save_checkpoint(tmp_path, state, Progress(1, extra={(1, 2): 3}), mode="eager", config={}, keep_max=1)
    assert _names(tmp_path) == []


@pytest.mark.parametrize("failing", ["fsync", "replace", "mkdir"])
def test_error_disk_full_leaves_the_older_ones(tmp_path, monkeypatch, failing):
    _save(tmp_path, 5, seed=1)
    calls = []

    def full(*args, **kwargs):
        calls.append(args)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path if failing == "mkdir" else os, failing, full)
    with pytest.raises(CheckpointError, match=r"disk full: .* needs about 0\.0 MB, free [\d.]+ MB"):
        _save(tmp_path, 6, keep_max=1)
    monkeypatch.undo()
    assert calls
    assert _names(tmp_path) == ["iter_5"]
    _equal(load_checkpoint(tmp_path / "iter_5")[0].optimizer, _state(1).optimizer)


def test_error_too_little_space_is_seen_before_writing(tmp_path, monkeypatch):
    _save(tmp_path, 5)
    monkeypatch.setattr(shared.engine.checkpoint_folder, "free_bytes", lambda _: 3_000_000)
    monkeypatch.setattr(shared.weights.atomic, "free_bytes", lambda _: 3_000_000)
    state = StepperState({"w": np.zeros(3_000_000, np.float32)}, {})
    with pytest.raises(CheckpointError, match=r"disk full: .* needs about 12 MB, free 3\.0 MB"):
        save_checkpoint(tmp_path, state, Progress(6), mode="eager", config={}, keep_max=1)
    assert _names(tmp_path) == ["iter_5"]


def test_error_no_permission(tmp_path, monkeypatch):
    def denied(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "fsync", denied)
    with pytest.raises(CheckpointError, match=r"no permission to write .* \(Permission denied\)"):
        _save(tmp_path, 5)


def test_value_find_resumable_skips_damaged_ones(tmp_path, caplog):
    for iteration in (5, 90, 100):
        _save(tmp_path, iteration)
    with open(tmp_path / "iter_100" / "model.safetensors", "r+b") as file:
        file.truncate(10)
    (tmp_path / "iter_90" / "state.json").write_text("garbage")
    (tmp_path / "iter_200").mkdir()
    (tmp_path / "iter_300").write_text("a file")
    with caplog.at_level(logging.WARNING):
        assert find_resumable(tmp_path) == tmp_path / "iter_5"
    skipped = [record.getMessage() for record in caplog.records]
    assert [m.split(" is skipped")[0][-8:] for m in skipped] == ["iter_200", "iter_100", "/iter_90"]
    shutil.rmtree(tmp_path / "iter_5")
    assert find_resumable(tmp_path) is None
    assert find_resumable(tmp_path / "nowhere") is None


def test_value_resolve_resume(tmp_path):
    run = tmp_path / "run"
    first, second = _save(run, 5), _save(run, 10)
    best = save_best(run, first)
    other = tmp_path / "other"
    assert resolve_resume("", run) == second
    assert resolve_resume("auto", run) == second
    assert resolve_resume(str(first), other) == first
    assert resolve_resume("iter_5", run) == first
    assert resolve_resume("best_model", run) == best
    assert resolve_resume(str(run), other) == second
    (second / "state.json").unlink()
    assert resolve_resume(str(run), other) == first


def test_error_resolve_resume(tmp_path):
    path = _save(tmp_path, 5)
    with pytest.raises(CheckpointError, match=r"iter_7: there is no such folder; .* holds iter_5"):
        resolve_resume("iter_7", tmp_path)
    with pytest.raises(CheckpointError, match="it is a file; give its folder"):
        resolve_resume(str(path / "state.json"), tmp_path)
    (path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors is missing"):
        resolve_resume(str(path), tmp_path)
    with pytest.raises(CheckpointError, match="has no undamaged checkpoint"):
        resolve_resume("auto", tmp_path)
    with pytest.raises(CheckpointError, match="holds no checkpoints"):
        resolve_resume("auto", tmp_path / "nowhere")
