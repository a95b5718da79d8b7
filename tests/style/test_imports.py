"""Imports point one way: shared (no Paddle) <- dygraph <- legacy; nothing imports legacy."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = {
    "shared": {"paddle", "dygraph", "legacy", "tests", "scripts"},
    "dygraph": {"legacy", "tests", "scripts"},
    "legacy": {"tests", "scripts"},
}


def imported_packages(source: str) -> set[str]:
    """Top-level packages a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").split(".")[0])
    return found


def offences(package: str, source: str) -> set[str]:
    """Packages that ``source``, standing in ``package``, may not import and does."""
    return imported_packages(source) & FORBIDDEN[package]


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", FORBIDDEN)
def test_value_no_module_imports_against_the_direction(package):
    assert modules(package), f"{package} has no modules: is the path right?"
    found = {str(path.relative_to(ROOT)): offences(package, path.read_text()) for path in modules(package)}
    assert {path: bad for path, bad in found.items() if bad} == {}


@pytest.mark.parametrize(
    ("package", "source", "bad"),
    [
        ("shared", "import paddle.nn as nn", {"paddle"}),
        ("shared", "def f():\n    from dygraph.build import build_model", {"dygraph"}),
        ("dygraph", "from legacy.pdseg import program", {"legacy"}),
        ("dygraph", "import paddle\nfrom shared import errors", set()),
    ],
)
def test_value_rule_turns_red_on_a_planted_import(package, source, bad):
    assert offences(package, source) == bad


def test_value_importing_all_of_shared_loads_no_paddle():
    names = [".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for p in modules("shared")]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "assert 'shared.engine.loop' in sys.modules\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('paddle', 'dygraph', 'legacy')))"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip().splitlines()[-1] == "[]"
