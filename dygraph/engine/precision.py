"""Which number type a run really uses: what was asked for, or float32 with one sentence why not."""

from __future__ import annotations

import paddle

from shared.config.run_config import PrecisionConfig
from shared.errors import ConfigError


def effective_dtype(config: PrecisionConfig, place: paddle.CPUPlace | paddle.CUDAPlace) -> tuple[str, str | None]:
    """The type of the forward pass and, where it is not the one asked for, a sentence for the log.

    Raises:
        ConfigError: mixed precision on a GPU, which neither mode offers yet.
    """
    if config.dtype == "float32":
        return "float32", None
    if isinstance(place, paddle.CPUPlace):
        return "float32", f"{config.dtype} is unavailable on a CPU: the run goes on in float32"
    raise ConfigError(
        f"precision: {config.dtype} on a GPU is not carried by this version in either mode: "
        "run in float32 (leave --fp16 or MODEL.FP16 away)"
    )
