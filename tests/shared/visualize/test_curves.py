"""Reading ``metrics.jsonl``, the arithmetic on it, and the command that draws it."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.errors import DataError
from shared.visualize.curves import Curves, draw_curves, loss_difference, read_curves, running_mean

SCRIPT = Path(__file__).parents[3] / "scripts" / "plot_curves.py"


def train(iteration: int, loss: float | None, lr: float = 0.01) -> str:
    return json.dumps({"kind": "train", "iter": iteration, "epoch": 1, "loss": loss, "terms": [loss], "lr": lr})


def evaluation(iteration: int, miou: float) -> str:
    return json.dumps({"kind": "eval", "iter": iteration, "miou": miou, "pixel_accuracy": 0.9})


def write_run(folder: Path, *lines: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


def lines(*records: str) -> str:
    return "".join(record + "\n" for record in records)


def curves(iterations: list[int], loss: list[float]) -> Curves:
    empty = np.array([])
    return Curves(np.array(iterations), np.array(loss, float), np.ones(len(loss)), empty.astype(int), empty)


def test_value_read(tmp_path):
    run = write_run(
        tmp_path / "run",
        lines(train(10, 1.5, 0.02), train(20, 1.25, 0.01), evaluation(20, 0.5), '{"kind": "note", "text": "x"}', ""),
        lines(train(30, None), train(40, math.nan), evaluation(40, 0.625)),
    )
    for source in (run, str(run), run / "metrics.jsonl"):
        got = read_curves(source)
        assert got.train_iters.tolist() == [10, 20, 30, 40]
        np.testing.assert_equal(got.loss, [1.5, 1.25, np.nan, np.nan])
        assert got.lr.tolist() == [0.02, 0.01, 0.01, 0.01]
        assert got.eval_iters.tolist() == [20, 40]
        assert got.miou.tolist() == [0.5, 0.625]


def test_value_resumed_run(tmp_path):
    run = write_run(tmp_path / "run", lines(train(10, 3), train(20, 2), train(30, 9), train(20, 2.5), train(30, 1)))
    assert read_curves(run).loss.tolist() == [3, 2.5, 1]
    run = write_run(tmp_path / "other interval", lines(train(10, 3), train(30, 9), train(15, 2.5), train(30, 1)))
    assert read_curves(run).train_iters.tolist() == [10, 15, 30]
    assert read_curves(run).loss.tolist() == [3, 2.5, 1]


def test_value_killed_run(tmp_path, caplog):
    run = write_run(tmp_path / "run", lines(train(10, 3)), train(20, 2)[:25])
    assert read_curves(run).loss.tolist() == [3]
    assert "metrics.jsonl:2 is cut short" in caplog.text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (lines(train(10, 3), '{"kind": "tr', train(20, 2)), "metrics.jsonl:2 is no JSON"),
        (lines("[1, 2]"), r"metrics.jsonl:1 holds '\[1, 2\]'; expected a JSON object"),
        (lines('{"kind": "train", "iter": 3, "lr": 1}'), "metrics.jsonl:1 has no 'loss'; a train entry needs one"),
        (lines('{"kind": "eval", "miou": 3}'), "metrics.jsonl:1 has no 'iter'; a eval entry needs one"),
        (lines('{"kind": "note"}'), "holds no training or evaluation entry"),
        ("", "holds no training or evaluation entry"),
    ],
)
def test_error_read(tmp_path, text, words):
    with pytest.raises(DataError, match=words):
        read_curves(write_run(tmp_path / "run", text))


def test_error_missing(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*metrics.jsonl .* expected the folder of a training run"):
        read_curves(tmp_path / "nothing")


def test_value_loss_difference():
    one = curves([10, 20, 30, 40], [3.0, 2.0, 1.0, 0.5])
    assert loss_difference(one, curves([20, 40, 60], [2.25, 0.0, 7.0])) == 0.5
    assert loss_difference(one, one) == 0
    assert loss_difference(one, curves([15, 25], [1, 1])) is None
    assert loss_difference(one, curves([10, 20], [math.nan, 2])) == math.inf
    both = curves([10, 20], [math.nan, 1.0])
    assert loss_difference(both, both) == 0
    assert loss_difference(curves([10], [math.inf]), curves([10], [math.inf])) == 0


def test_value_running_mean():
    np.testing.assert_allclose(running_mean(np.array([1.0, 2, 6, 3, 0]), 3), [1.5, 3, 11 / 3, 3, 1.5])
    np.testing.assert_allclose(running_mean(np.array([1.0, np.nan, 3.0]), 3), [1, 2, 3])
    np.testing.assert_array_equal(running_mean(np.array([4.0, 5.0]), 1), [4, 5])
    assert np.isnan(running_mean(np.array([np.nan]), 5)).all()


def colours_in(path: Path) -> set[tuple[int, ...]]:
    return {tuple(c) for c in np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3).tolist()}


def test_value_coincident_curves_stay_visible(tmp_path):
    run = curves(list(range(10, 200, 10)), np.linspace(3, 1, 19).tolist())
    path = tmp_path / "new" / "kurven ü.png"
    draw_curves({"eager": run, "static": run}, path, "title")
    assert {(0x1F, 0x6F, 0xB4), (0xE0, 0x66, 0x2B)} <= colours_in(path)
    draw_curves({"eager": run}, tmp_path / "one.svg")
    draw_curves({"eager": run, "static": run}, tmp_path / "two.svg")
    assert "stroke-dasharray" not in (tmp_path / "one.svg").read_text(encoding="utf-8")
    assert "stroke-dasharray" in (tmp_path / "two.svg").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")  # between matplotlib and pyparsing
@pytest.mark.filterwarnings("error")
def test_smoke_odd_runs(tmp_path):
    empty = np.array([])
    runs = {
        "only evaluated": Curves(empty.astype(int), empty, empty, np.array([5]), np.array([0.5])),
        "diverged": curves([10, 20], [math.nan, math.nan]),
        "long": curves(list(range(1000)), np.random.default_rng(0).random(1000).tolist()),
        "no score": Curves(np.array([1]), np.array([1.0]), np.array([0.1]), np.array([1]), np.array([math.nan])),
    }
    for name, run in runs.items():
        draw_curves({name: run}, tmp_path / f"{name}.png")
    draw_curves(runs, tmp_path / "all.svg")
    assert len(list(tmp_path.iterdir())) == 5


def test_error_no_run(tmp_path):
    with pytest.raises(ValueError, match="got no run"):
        draw_curves({}, tmp_path / "x.png")


def command(*args: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, args)], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_value_command(tmp_path):
    write_run(tmp_path / "a" / "run", lines(train(10, 3), train(20, 2), evaluation(20, 0.4)))
    write_run(tmp_path / "b" / "run", lines(train(10, 3), train(20, 2.125)))
    done = command("a/run", "b/run", "--out", "out/curves.png", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["largest difference of the losses: 0.125", "wrote out/curves.png"]
    with Image.open(tmp_path / "out" / "curves.png") as picture:
        assert picture.size[0] > 1000


def test_error_command(tmp_path):
    write_run(tmp_path / "run", lines(train(10, 3)))
    for args, words in {
        ("nothing",): "cannot read nothing/metrics.jsonl",
        ("run", "run"): "got one run twice (run, run)",
        ("run", "--names", "a", "b"): "got 2 names for 1 runs",
        ("run", "--out", "x.gif"): "--out is 'x.gif'",
    }.items():
        done = command(*args, cwd=tmp_path)
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]
