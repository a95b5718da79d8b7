"""One clear sentence where Paddle is missing or too old, instead of a traceback from deep inside."""

from __future__ import annotations

import io
import sys
import warnings
from contextlib import redirect_stderr
from types import ModuleType

from shared.errors import MachineError

_NOISE = ("OMP_NUM_THREADS",)  # lines Paddle prints while it is imported, about a setting made on purpose
_NOISY_WARNINGS = (
    "No ccache found",
    "When training, we now always track global mean and variance",
    "Tensor do not have 'place' interface for pir graph mode",
)

OLDEST_PADDLE = (3, 0)
INSTALL_HINT = (
    "install it with `pip install 'paddlepaddle>=3.0'` (CPU), "
    "or choose a GPU wheel at https://www.paddlepaddle.org.cn/install/quick"
)


def require_paddle() -> None:
    """Import Paddle and check its version; development builds, which call themselves 0.0.0, are let through.

    Raises:
        MachineError: Paddle cannot be imported or is older than 3.0; the message holds the pip line.
    """
    needed = ".".join(map(str, OLDEST_PADDLE))
    try:
        paddle = _import_quietly()
    except ImportError as error:
        raise MachineError(
            f"DualSeg needs Paddle {needed} or newer, and `import paddle` failed ({error}); {INSTALL_HINT}"
        ) from error
    found = str(getattr(paddle, "__version__", "unknown"))
    if not _is_supported(found):
        raise MachineError(f"DualSeg needs Paddle {needed} or newer, and this is Paddle {found}; {INSTALL_HINT}")


def _import_quietly() -> ModuleType:
    """Import Paddle without the lines and warnings that say nothing to a user; everything else is passed on."""
    for message in _NOISY_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            import paddle
    finally:
        lines = [line for line in said.getvalue().splitlines(keepends=True) if not any(n in line for n in _NOISE)]
        sys.stderr.write("".join(lines))
    return paddle


def _is_supported(version: str) -> bool:
    digits = version.split(".")[:2]
    if len(digits) < 2 or not all(d.isdigit() for d in digits):
        return False
    numbers = tuple(int(d) for d in digits)
    return numbers >= OLDEST_PADDLE or version.startswith("0.0.0")
