"""Create the project's environment: ``python3 scripts/setup_env.py [DIR] [--paddle X.Y.Z]``. Standard library only.

Does nothing when the environment is there and was made from the same setup.py by the same Python.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MADE = ".made-by-dualseg"
OLDEST, NEWEST = (3, 9), (3, 12)


def stamp_text(paddle: str | None) -> str:
    """What the environment depends on."""
    digest = hashlib.sha256((ROOT / "setup.py").read_bytes()).hexdigest()
    return f"{sys.version}\n{digest}\n" + (f"paddle {paddle}\n" if paddle else "")


def create(directory: Path, paddle: str | None = None) -> None:
    """Make the virtual environment and install the toolkit into it, with Paddle for the CPU and the test tools.

    ``paddle`` is the version; None takes the newest one that is supported.
    """
    stamp = directory / ".dualseg-stamp"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == stamp_text(paddle):
        return
    if directory.exists() and any(directory.iterdir()) and not (directory / MADE).is_file():
        sys.exit(
            f"error: {directory} exists and was not made by this script: move it away, or name another place, as in "
            "`make test VENV=.venv-dualseg`"
        )
    print(f"creating {directory} with Python {sys.version.split()[0]} (once; about a minute)", flush=True)
    try:
        venv.create(directory, with_pip=True, clear=True)
    except subprocess.CalledProcessError:
        sys.exit("error: this Python cannot make an environment; on Debian and Ubuntu: apt-get install python3-venv")
    (directory / MADE).touch()  # an interrupted installation may be done again
    python = directory / ("Scripts" if os.name == "nt" else "bin") / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-e", f"{ROOT}[cpu,dev]"]
    command += [f"paddlepaddle=={paddle}"] if paddle else []
    if subprocess.run(command, check=False).returncode != 0:
        sys.exit(f"error: the installation failed; the command was: {' '.join(command)}")
    stamp.write_text(stamp_text(paddle), encoding="utf-8")


def main() -> None:
    """Check the Python version, then create."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        sys.exit(
            f"error: this is Python {sys.version.split()[0]}, and Paddle has builds for 3.9 to 3.12: "
            "name another one, as in `make demo PYTHON=python3.11`"
        )
    parser = argparse.ArgumentParser(description="Create the project's environment.")
    parser.add_argument("directory", nargs="?", type=Path, default=ROOT / ".venv", metavar="DIR", help="where (.venv)")
    parser.add_argument("--paddle", metavar="X.Y.Z", help="version of Paddle (the newest supported one)")
    arguments = parser.parse_args()
    if arguments.paddle is not None and not re.fullmatch(r"\d+\.\d+\.\d+", arguments.paddle):
        parser.error(f"--paddle: got {arguments.paddle!r}, expected a version such as 3.0.0")
    create(arguments.directory, arguments.paddle)


if __name__ == "__main__":
    main()
