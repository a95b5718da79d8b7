"""What README and docs say is there: files, links, flags and an example config that loads."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import dygraph.build  # noqa: F401 - fills the registries
from dygraph import arguments
from shared.config.eager import load_run_config

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_value_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+?)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_value_named_files_exist(page):
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:dygraph|legacy|shared|configs|scripts|tests|docs)/[\w./]+\.(?:py|yml|yaml|md))`", text)
    for path in named:
        assert (ROOT / path).is_file(), f"{page.name} names {path}"


def readme_commands() -> list[list[str]]:
    lines = "\n".join(code_blocks(README, "bash")).splitlines()
    return [shlex.split(line, comments=True) for line in lines if re.match(r"python (dygraph|pdseg)/", line)]


def test_value_readme_commands_parse():
    commands = readme_commands()
    assert len(commands) >= 10
    for _, script, *words in commands:
        folder = ROOT if script.startswith("dygraph") else ROOT / "legacy"
        assert (folder / script).is_file()
        for word in words:
            if word.endswith((".yml", ".yaml")):
                assert (folder / word).is_file(), word


@pytest.mark.parametrize("command", [c for c in readme_commands() if c[1] == "dygraph/train.py"], ids=" ".join)
def test_value_readme_training_flags_are_known(command):
    parsed = arguments.train_parser().parse_args(command[2:])
    assert load_run_config(str(ROOT / parsed.config), arguments.config_overrides(parsed)).model.type


def test_value_readme_config_loads(tmp_path):
    (example,) = code_blocks(README, "yaml")
    path = tmp_path / "mine.yml"
    path.write_text(example.replace("../configs", str(ROOT / "configs")), encoding="utf-8")
    run = load_run_config(str(path))
    assert run.num_classes == 3
    assert run.train_data.dataset.type == "Dataset"
    assert run.model.args["backbone"].type == "HRNet_W18"
