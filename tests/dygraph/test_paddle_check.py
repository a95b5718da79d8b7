"""``import dygraph`` without Paddle, and the sentence where Paddle is missing or too old."""

from __future__ import annotations

import subprocess
import sys

import pytest

import dygraph
from dygraph.paddle_check import require_paddle
from shared.errors import MachineError


def test_value_import_is_lazy(root):
    code = "import sys, dygraph; assert 'paddle' not in sys.modules; assert 'build_model' in dir(dygraph)"
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)


def test_error_unknown_attribute():
    with pytest.raises(AttributeError, match="build_mode"):
        _ = dygraph.build_mode


@pytest.mark.parametrize("version", ["3.0.0", "3.0.0-beta1", "3.3.1", "4.0", "10.1.0", "0.0.0"])
def test_value_supported_versions(monkeypatch, version):
    monkeypatch.setattr("paddle.__version__", version)
    require_paddle()


@pytest.mark.parametrize("version", ["2.6.2", "2.10.0", "1.8"])
def test_error_old_versions(monkeypatch, version):
    monkeypatch.setattr("paddle.__version__", version)
    with pytest.raises(MachineError, match=rf"3\.0 or newer.*Paddle {version}.*pip install") as caught:
        require_paddle()
    assert "\n" not in str(caught.value)


def test_error_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "paddle", None)
    with pytest.raises(MachineError, match=r"3\.0 or newer.*pip install 'paddlepaddle>=3\.0'"):
        require_paddle()
