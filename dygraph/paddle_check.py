"""One clear sentence where Paddle is missing or too old, instead of a traceback from deep inside."""

from __future__ import annotations

from shared.errors import MachineError

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
        import paddle
    except ImportError as error:
        raise MachineError(
            f"DualSeg needs Paddle {needed} or newer, and `import paddle` failed ({error}); {INSTALL_HINT}"
        ) from error
    found = str(getattr(paddle, "__version__", "unknown"))
    if not _is_supported(found):
        raise MachineError(f"DualSeg needs Paddle {needed} or newer, and this is Paddle {found}; {INSTALL_HINT}")


def _is_supported(version: str) -> bool:
    digits = version.split(".")[:2]
    if len(digits) < 2 or not all(d.isdigit() for d in digits):
        return False
    numbers = tuple(int(d) for d in digits)
    return numbers >= OLDEST_PADDLE or version.startswith("0.0.0")
