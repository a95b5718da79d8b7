"""Sources and transforms that worker processes can import."""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np

from shared.errors import ConfigError
from shared.transforms.base import Sample


class Plain:
    """A sample whose content tells its epoch and index."""

    def get(self, epoch: int, index: int) -> Sample:
        rng = np.random.default_rng([7, epoch, index])
        time.sleep(float(rng.uniform(0, 0.01)))  # workers overtake each other
        image = rng.random((3, 5, 8), np.float32)
        label = np.full((5, 8), index % 256, np.uint8)
        return Sample(image, label, f"{epoch}/{index}.png", [("resize", (index, 9))])

    def name(self, index: int) -> str:
        return f"{index}.png"


class Large(Plain):
    """About 6 MB a sample."""

    def get(self, epoch: int, index: int) -> Sample:
        return Sample(np.full((3, 512, 1024), index, np.float32), None, f"{epoch}/{index}.png")


class FailsAt(Plain):
    """Raises ``error`` for one index."""

    def __init__(self, index: int, error: Exception) -> None:
        self.index, self.error = index, error

    def get(self, epoch: int, index: int) -> Sample:
        if index == self.index:
            raise self.error
        return super().get(epoch, index)


class TwoProblemsAt(Plain):
    """Raises an error whose constructor does not take its message."""

    def get(self, epoch: int, index: int) -> Sample:
        if index == 2:
            raise ConfigError(["a: one", "b: two"], "x.yml")
        return super().get(epoch, index)


class KilledAt(Plain):
    """Its process dies at one index, by a signal or with an exit code."""

    def __init__(self, index: int, how: int) -> None:
        self.index, self.how = index, how

    def get(self, epoch: int, index: int) -> Sample:
        if index == self.index:
            if self.how > 0:
                os._exit(self.how)
            os.kill(os.getpid(), -self.how)
        return super().get(epoch, index)


class Probe(Plain):
    """Reports its process in the path."""

    def get(self, epoch: int, index: int) -> Sample:
        import cv2

        sample = super().get(epoch, index)
        packages = {name.partition(".")[0] for name in sys.modules}
        sample.path = repr(
            {
                "pid": os.getpid(),
                "packages": sorted(packages & {"paddle", "dygraph", "legacy", "pytest", "cv2", "shared"}),
                "reader": sys.modules["shared.reading.worker"].__file__,
                "main": getattr(sys.modules["__main__"], "__file__", None),
                "cv2_threads": cv2.getNumThreads(),
                "omp": os.environ.get("OMP_NUM_THREADS"),
                "ignores_sigint": signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
            }
        )
        return sample


class NeedsItsModule(Plain):
    """Pickles well and cannot be loaded elsewhere."""

    def __reduce__(self):
        return (__import__, ("a_module_that_is_not_there",))


class NoRoomInMemory(Large):
    """Makes /dev/shm refuse writes in its process, as a full one does."""

    def get(self, epoch: int, index: int) -> Sample:
        from shared.reading import parcel

        real = parcel._write

        def full(path, views):
            if path.startswith("/dev/shm/"):
                raise OSError(28, "No space left on device")
            real(path, views)

        if real.__name__ != "full":
            parcel._write = full
        return super().get(epoch, index)


class Hangs(Plain):
    """Never returns after the first samples."""

    def get(self, epoch: int, index: int) -> Sample:
        if index >= 2:
            time.sleep(600)
        return super().get(epoch, index)


def heeds_sigterm() -> None:
    """Ends its process by SIGTERM, or with exit code 0 where that is ignored."""
    os.kill(os.getpid(), signal.SIGTERM)


def scale(sample: Sample, rng: np.random.Generator) -> None:
    """A random transform."""
    sample.image = sample.image.astype(np.float32) * np.float32(rng.uniform(0.5, 2))


def flip_and_scale(sample: Sample, rng: np.random.Generator) -> None:
    """Flips at random, image and label alike."""
    if rng.random() < 0.5:
        sample.image, sample.label = sample.image[:, ::-1], sample.label[:, ::-1]
    scale(sample, rng)


def always_fails(sample: Sample, rng: np.random.Generator) -> None:
    """A transform with a defect."""
    raise IndexError("index 5 is out of bounds")
