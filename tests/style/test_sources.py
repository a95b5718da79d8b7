"""What every source file keeps to: length, licence-free headers, no prints in libraries, no unfinished marks."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MOST_LINES = 400
SOURCES = sorted(p for top in ("shared", "dygraph", "legacy", "scripts") for p in (ROOT / top).rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_value_source_file_keeps_the_rules(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    name = str(path.relative_to(ROOT))
    assert text.count("\n") <= MOST_LINES
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text)
    if text.strip():
        assert ast.get_docstring(tree), f"{name} has no module docstring"
    prints = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "print"]
    assert not prints or name.startswith(("scripts/", "shared/commands/")), f"{name} prints in lines {prints}"
    if not name.startswith("scripts/"):
        assert undocumented(tree) == []


def test_value_test_files_are_no_longer_than_sources():
    lengths = {str(p.relative_to(ROOT)): p.read_text("utf-8").count("\n") for p in (ROOT / "tests").rglob("*.py")}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


TOLD_BY_THEIR_CLASS = ("forward", "logit_maps")


def undocumented(tree: ast.Module) -> list[str]:
    """Public classes, functions and methods without a docstring; some methods are told by their class."""
    return [
        f"{node.lineno} {node.name}"
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        and not node.name.startswith("_")
        and node.name not in TOLD_BY_THEIR_CLASS
        and not ast.get_docstring(node)
        and not _is_nested(tree, node)
    ]


def _is_nested(tree: ast.Module, node: ast.AST) -> bool:
    """Whether a definition stands inside a function or a private class, where it is nobody's interface."""
    for outer in ast.walk(tree):
        hides = isinstance(outer, ast.FunctionDef) or (isinstance(outer, ast.ClassDef) and outer.name.startswith("_"))
        if hides and outer is not node and any(inner is node for inner in ast.walk(outer)):
            return True
    return False
