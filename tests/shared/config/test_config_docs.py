"""The examples of ``docs/config.md`` are executed, and its tables are complete."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from shared.config.eager import _NOT_CARRIED, load_run_config
from shared.config.effective import effective_values
from shared.errors import ConfigError

pytestmark = pytest.mark.usefixtures("registries")

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "config.md").read_text(encoding="utf-8")
YAML = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
FILES = {block.split("\n", 1)[0][2:]: block for block in YAML if block.startswith("# ")}
FRAGMENTS = [block for block in YAML if not block.startswith("# ")]
CONSOLE = re.findall(r"^```console\n\$ (.*?)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text.replace("HRNet_W48", "ResNet50_vd"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_smoke_examples_are_found():
    assert list(FILES) == ["own.yml", "own_adam.yml"]
    assert len(FRAGMENTS) == 3
    assert len(CONSOLE) == 2


def test_value_files_load(folder):
    run = load_run_config("own.yml")
    assert (run.num_classes, run.train.iters) == (3, 2000)
    run = load_run_config("own_adam.yml")
    assert (run.optimizer.type, run.train.epochs, run.train.iters) == ("adam", 20, None)


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=lambda f: f.split(":")[0])
def test_value_fragments_load_over_the_complete_file(folder, fragment):
    (folder / "fragment.yml").write_text(f"_base_: own.yml\n{fragment}", encoding="utf-8")
    run = load_run_config("fragment.yml")
    assert "fragment.yml" in run.origins.values()


@pytest.mark.parametrize(("command", "output"), CONSOLE)
def test_error_examples_say_what_the_page_shows(folder, command, output):
    words = shlex.split(command)
    with pytest.raises(ConfigError) as caught:
        load_run_config(words[words.index("--config") + 1], opts=words[words.index("--opts") + 1 :])
    assert str(caught.value) == output.rstrip("\n")


def test_value_override_example_loads(folder):
    line = re.search(r"--opts (model\.num_classes=3.*)", TEXT).group(1)
    run = load_run_config("own.yml", {"iters": 500}, shlex.split(line))
    assert run.train.iters == 500
    assert run.losses[0].coef == 0.5
    assert run.train_data.transforms[0].args["min_scale_factor"] == 0.75


def test_value_every_key_is_documented(folder):
    run = load_run_config("own.yml")
    values = effective_values(run)
    keys = {*values, *values["test_config"], *values["optimizer"], *values["lr_scheduler"], *values["reader"]}
    keys |= {*_NOT_CARRIED, "epochs", "learning_rate", "export", "_base_", "_inherited_"}
    assert [k for k in sorted(keys) if f"`{k}`" not in TEXT and f"`{k}:" not in TEXT] == []
