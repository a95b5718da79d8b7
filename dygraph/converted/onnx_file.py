"""An exported network as an ONNX file."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from dygraph.converted.onnx_operators import onnx_operators
from dygraph.engine.export import ExportSpec
from shared.errors import RunFailedError

_PROCESS = Path(__file__).with_name("onnx_process.py")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_SAID_BY = re.compile(r"^.*\[ERROR\]\s*(?:\[Paddle2ONNX\])?\s*")


def write_onnx(write: Callable[[ExportSpec], None], spec: ExportSpec, target: Path) -> None:
    """Export a network and convert it.

    Args:
        write: writes the network's Program and weights as ``spec`` says.
        spec: where they go, and the operator behind the network.
        target: the file.

    Raises:
        RunFailedError: the network cannot be converted.
    """
    words = [sys.executable, str(_PROCESS), str(spec.model_path), str(spec.params_path), str(target)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    # begun before the export, for it takes as long to begin as that
    with subprocess.Popen(words, text=True, errors="replace", **pipes) as process:
        with onnx_operators():
            write(spec)
        said, _ = process.communicate("convert\n")
    if process.returncode or not target.is_file():
        raise RunFailedError(f"this network cannot be converted to ONNX ({_reason(said)}); use --backend paddle")


def _reason(said: str) -> str:
    """The first complaint of the converter, else its last line."""
    lines = [line for line in _COLOURS.sub("", said).splitlines() if line.strip()]
    complaints = [_SAID_BY.sub("", line) for line in lines if "[ERROR]" in line]
    return (complaints or lines[-1:] or ["its converter said nothing"])[0].strip()
