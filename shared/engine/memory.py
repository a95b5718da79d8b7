"""An image too large for the memory is predicted through sliding windows instead of ending the run."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from shared.config.run_config import EvalConfig, RunConfig
from shared.engine.data import fixed_size_hw
from shared.errors import RunFailedError

logger = logging.getLogger(__name__)

DEFAULT_WINDOW_HW = (512, 512)
_SHORTAGES = (
    *("resourceexhausted", "out of memory", "bad_alloc", "insufficient memory", "cannot allocate memory"),
    "failed to map segment",  # a library that is loaded at its first use
)
_OVERLAP = 3  # windows overlap by a third

Result = TypeVar("Result")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out: Python's own, Paddle's (a ``MemoryError`` or a text), OpenCV's."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _SHORTAGES)


def fallback_window(run: RunConfig) -> tuple[int, int]:
    """(height, width) of the windows: those of the config, else the training's crop, else 512x512."""
    if run.evaluation.crop_hw is not None:
        return run.evaluation.crop_hw
    fixed = None if run.train_data is None else fixed_size_hw(run.train_data)
    return fixed or DEFAULT_WINDOW_HW


class MemoryGuard:
    """Predicts an image whole while the memory suffices, and through windows from the size on at which it did not.

    Args:
        window_hw: the windows' (height, width); they overlap by a third.
    """

    def __init__(self, window_hw: tuple[int, int]) -> None:
        self.window_hw = window_hw
        self._too_many: int | None = None  # pixels

    def run(
        self, predict: Callable[[EvalConfig], Result], config: EvalConfig, size_hw: tuple[int, int], path: str
    ) -> Result:
        """``predict(config)``, or ``predict`` of a config of sliding windows.

        Args:
            predict: called once, or twice where the first call runs out of memory.
            size_hw: of the image as the network gets it.
            path: the image file, for messages.

        Raises:
            RunFailedError: there is too little memory even for the windows.
        """
        windows = self._windows(config, size_hw)
        pixels = size_hw[0] * size_hw[1]
        if self._too_many is None or pixels < self._too_many or windows is None:
            said = _tried(predict, config)
            if not isinstance(said, _Shortage):
                return said
            if windows is None:
                raise RunFailedError(self._hopeless(config, size_hw, path, said))
            logger.warning(
                "%s: too little memory for height %d x width %d in one piece; images of this size and above go through "
                "windows of %d x %d (test_config.is_slide does so from the start)",
                *(path, *size_hw, *self.window_hw),
            )
            self._too_many = pixels
        said = _tried(predict, windows)
        if isinstance(said, _Shortage):
            raise RunFailedError(self._hopeless(windows, size_hw, path, said))
        return said

    def _windows(self, config: EvalConfig, size_hw: tuple[int, int]) -> EvalConfig | None:
        """None where windows would not make it smaller."""
        if config.is_slide or all(n <= w for n, w in zip(size_hw, self.window_hw)):
            return None
        stride_hw = tuple(max(1, n - n // _OVERLAP) for n in self.window_hw)
        return dataclasses.replace(config, is_slide=True, crop_hw=self.window_hw, stride_hw=stride_hw)

    def _hopeless(self, config: EvalConfig, size_hw: tuple[int, int], path: str, shortage: _Shortage) -> str:
        window = f" even in windows of {config.crop_hw[0]} x {config.crop_hw[1]}" if config.is_slide else ""
        return (
            f"{path}: too little memory for height {size_hw[0]} x width {size_hw[1]}{window} ({shortage.story}); set "
            "test_config.is_slide with a smaller crop_size (static: TEST.IS_SLIDE, TEST.CROP_SIZE), or free memory. "
            "Checkpoints saved before are whole"
        )


@dataclasses.dataclass(frozen=True)
class _Shortage:
    story: str


def _tried(predict: Callable[[EvalConfig], Any], config: EvalConfig) -> Any:
    """The result, or a :class:`_Shortage`; the exception is gone by then, and with it the arrays its frames hold."""
    try:
        return predict(config)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return _Shortage(f"{type(error).__name__}: {' '.join(str(error).split())[-160:]}")
