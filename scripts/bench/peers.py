"""The environments of the peers: made once under ``.bench/``, run as processes of their own, never imported here."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".bench"
SIDES = Path(__file__).resolve().parent / "sides"

_PADDLESEG = ("filelock", "prettytable", "visualdl", "tqdm", "pyyaml", "setuptools")


@dataclass(frozen=True)
class Peer:
    """An environment: its packages, those installed without what they ask for, and the script it runs."""

    packages: tuple[str, ...]
    alone: tuple[str, ...]
    side: str


PEERS = {
    "paddleseg": Peer(
        (
            *("paddlepaddle==2.6.2", "numpy<2", "protobuf<5", "scipy<1.14", "scikit-learn<1.6", "pillow<11"),
            *("opencv-python-headless==4.10.0.84", *_PADDLESEG),
        ),
        ("paddleseg==2.8.0",),
        "paddleseg_side.py",
    ),
    "paddleseg-3.3.1": Peer(
        ("paddlepaddle==3.3.1", "numpy", "scipy", "scikit-learn", "pillow", "opencv-python-headless", *_PADDLESEG),
        ("paddleseg==2.8.0",),
        "paddleseg_side.py",
    ),
    "mmseg": Peer(
        (
            *("torch==2.13.0", "numpy", "scipy", "opencv-python-headless", "addict", "termcolor", "rich", "yapf"),
            *("prettytable", "ftfy", "regex", "pyyaml", "matplotlib", "packaging", "pillow"),
        ),
        ("mmsegmentation==1.2.2", "mmengine==0.10.7", "mmcv-lite==2.2.0"),
        "mmseg_side.py",
    ),
}


def command(name: str) -> list[str]:
    """The words that start a side: ``ours``, or a peer's name, whose environment is made where it is missing."""
    if name == "ours":
        return [sys.executable, str(SIDES / "ours.py")]
    return [str(_environment(name)), str(SIDES / PEERS[name].side)]


def versions(name: str) -> dict[str, str]:
    """What is installed in a peer's environment, of the packages that matter."""
    python = sys.executable if name == "ours" else str(_environment(name))
    names = ["paddlepaddle", "paddleseg", "torch", "mmsegmentation", "mmcv-lite", "numpy", "opencv-python-headless"]
    names += ["imagecodecs", "onnxruntime", "openvino", "paddle2onnx"]
    script = (
        "import json, sys, importlib.metadata as m\nfound = {}\nfor n in sys.argv[1:]:\n"
        "    try: found[n] = m.version(n)\n    except m.PackageNotFoundError: pass\nprint(json.dumps(found))"
    )
    done = subprocess.run([python, "-c", script, *names], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _environment(name: str) -> Path:
    """The interpreter of a peer."""
    peer, directory = PEERS[name], HOME / name
    python = directory / "bin" / "python"
    stamp = directory / ".stamp"
    wanted = hashlib.sha256(repr((peer, sys.version)).encode()).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    print(f"installing {name} into {directory} (once; a few minutes)", file=sys.stderr, flush=True)
    venv.create(directory, with_pip=True, clear=True)
    _pip(python, list(peer.packages))
    _pip(python, ["--no-deps", *peer.alone])
    stamp.write_text(wanted, encoding="utf-8")
    return python


def _pip(python: Path, words: Sequence[str]) -> None:
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *words], check=False
    )
    if done.returncode != 0:
        sys.exit(f"error: pip failed; the command was: {' '.join(map(str, done.args))}")
