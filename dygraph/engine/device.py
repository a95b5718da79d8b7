"""Which device a run uses, and the switches that make it repeat itself."""

from __future__ import annotations

import random

import numpy as np
import paddle

from shared.errors import MachineError


def choose_place(use_gpu: bool | None) -> paddle.CPUPlace | paddle.CUDAPlace:
    """The device of this process, also set as Paddle's default.

    Args:
        use_gpu: True demands CUDA, False keeps the CPU, None takes what is there.

    Raises:
        MachineError: CUDA was asked for and this Paddle or this machine has none.
    """
    has_cuda = paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count() > 0
    if use_gpu and not has_cuda:
        why = "no card is visible" if paddle.is_compiled_with_cuda() else "this Paddle is built without CUDA"
        raise MachineError(
            f"a GPU was asked for, but {why} (paddle {paddle.__version__}): leave the flag away to run on the CPU, "
            "or install paddlepaddle-gpu from Paddle's own index (see README.md)"
        )
    on_gpu = has_cuda if use_gpu is None else use_gpu
    paddle.set_device("gpu" if on_gpu else "cpu")
    return paddle.CUDAPlace(paddle.distributed.ParallelEnv().device_id) if on_gpu else paddle.CPUPlace()


def seed_everything(seed: int, deterministic: bool) -> None:
    """Seed Python, NumPy and Paddle; with ``deterministic`` also pin cuDNN's algorithms.

    On a CPU equal seeds give equal bits with or without it. On a GPU operators outside cuDNN may still add in changing
    order.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    paddle.seed(seed)
    if deterministic and paddle.is_compiled_with_cuda():
        paddle.set_flags({"FLAGS_cudnn_deterministic": True})
