"""``scripts/parity.py``: exit codes, the printed rungs and the page, on a user's config and data."""

from __future__ import annotations

import pytest

from scripts import parity
from shared.commands.run import run_command
from shared.config.run_config import OptimizerConfig
from shared.engine.data import EvalData
from tests.parity.runs import write_images

CONFIG = """
batch_size: 2
iters: 40
train_dataset:
  type: Dataset
  dataset_root: {root}
  train_path: train.txt
  num_classes: 5
  mode: train
  transforms:
    - type: RandomPaddingCrop
      crop_size: [65, 49]
    - type: Normalize
val_dataset:
  type: Dataset
  dataset_root: {root}
  val_path: val.txt
  num_classes: 5
  mode: val
  transforms:
    - type: Normalize
optimizer:
  type: sgd
  momentum: 0.9
  weight_decay: 5.0e-4
lr_scheduler:
  type: PolynomialDecay
  learning_rate: 0.02
model:
  type: FastSCNN
  enable_auxiliary_loss: False
loss:
  types:
    - type: CrossEntropyLoss
  coef: [1]
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    root = write_images(tmp_path_factory.mktemp("images"))
    path = root / "mine.yml"
    path.write_text(CONFIG.format(root=root))
    return path


def _leave(*words) -> int:
    with pytest.raises(SystemExit) as left:
        run_command(parity.main, [str(word) for word in words])
    return left.value.code


def test_smoke_equal(config, tmp_path, capsys):
    report = tmp_path / "new" / "report.html"
    words = ("--steps", 2, "--crop_size", 49, 33, "--report", report, "--opts", "iters=30")
    assert _leave("--config", config, *words) == 0
    printed = capsys.readouterr().out
    assert "are equal, bit for bit" in printed
    assert len([line for line in printed.splitlines() if line.startswith("= ")]) == 13
    page = report.read_text(encoding="utf-8")
    assert "[2, 3, 33, 49]" in page
    assert "mine.yml" in page
    assert "iters=30" in page


def test_value_evaluated_images_have_the_size_asked_for(config):
    run = parity.load_run(parity.parse_args(["--config", str(config), "--eval_size", "40", "24"]))
    images = EvalData(run).source.get(0, 0).image
    assert images.shape == (3, 24, 40)


def test_value_different(config, capsys, monkeypatch):
    from legacy.pdseg import program

    right = program.build_optimizer
    wrong = OptimizerConfig("momentum", momentum=0.9, weight_decay=6e-4)
    monkeypatch.setattr(program, "build_optimizer", lambda _, network, lr: right(wrong, network, lr))
    assert _leave("--config", config, "--steps", 2, "--crop_size", 49, 33) == 1
    printed = capsys.readouterr().out
    assert "the modes differ, first on the rung “one step”, in velocity/" in printed
    assert "ulps" in printed


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--steps", "1"), "got '1', expected a whole number of 2 or more"),
        (("--opts", "model.tipe=3"), "model.tipe"),
        (("--opts", "train_dataset.dataset_root=/nowhere"), "/nowhere"),
        (("--report", "."), "is a directory; name a file in it"),
        (("--crop_size", "8", "8", "--opts", "train_dataset.transforms.0.type=RandomHorizontalFlip"), "crop"),
    ],
    ids=["steps", "key", "data", "report", "crop"],
)
def test_error_wrong_use(config, capsys, words, told):
    assert _leave("--config", config, *words) == 2
    assert told in capsys.readouterr().err


def test_error_no_config(capsys):
    assert _leave("--config", "no_such.yml") == 2
    assert "no_such.yml" in capsys.readouterr().err
