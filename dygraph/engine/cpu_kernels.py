"""Whether a run computes by ``dygraph.kernels``, for both modes alike."""

from __future__ import annotations

import paddle

from dygraph.engine.precision import Precision
from dygraph.kernels.choice import lacking
from shared.config.run_config import RunConfig
from shared.errors import ConfigError

_WITHOUT = "leave onednn (TRAIN.ONEDNN) away or set it to false"


def uses_fast_kernels(run: RunConfig, place: paddle.CPUPlace | paddle.CUDAPlace, precision: Precision) -> bool:
    """Whether the run asks for those kernels, or leaves it open and can have them.

    Raises:
        ConfigError: it asks for them and cannot have them.
    """
    asked = run.train.onednn
    if asked is False:
        return False
    why = _why_not(run, place, precision)
    if asked and why is not None:
        raise ConfigError(f"onednn: got true, but {why}; {_WITHOUT}")
    return why is None


def _why_not(run: RunConfig, place: paddle.CPUPlace | paddle.CUDAPlace, precision: Precision) -> str | None:
    if not isinstance(place, paddle.CPUPlace):
        return "the run is on a GPU, and oneDNN computes on CPUs"
    if run.data_format != "NCHW":
        return f"with data_format: {run.data_format}, and only maps in NCHW go through oneDNN"
    if precision.mixed:
        return f"the precision is {precision}, and only float32 goes through oneDNN"
    return lacking()


def describe_kernels(fast_kernels: bool) -> str:
    """The words of the run plan, behind those of the precision."""
    return ", convolutions by oneDNN" if fast_kernels else ""
