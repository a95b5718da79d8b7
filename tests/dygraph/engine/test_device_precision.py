"""Places, seeds and number types on a machine without CUDA, and on one that claims to have it."""

from __future__ import annotations

import random

import numpy as np
import paddle
import pytest

from dygraph.engine import device
from dygraph.engine.device import choose_place, seed_everything
from shared.errors import MachineError

NO_CUDA = pytest.mark.skipif(paddle.is_compiled_with_cuda(), reason="this Paddle has CUDA")


@NO_CUDA
@pytest.mark.parametrize("use_gpu", [False, None])
def test_value_the_cpu_is_taken(use_gpu):
    assert isinstance(choose_place(use_gpu), paddle.CPUPlace)
    assert paddle.get_device() == "cpu"


@NO_CUDA
def test_error_gpu_without_cuda():
    with pytest.raises(MachineError, match=r"this Paddle is built without CUDA .*leave the flag away"):
        choose_place(True)


def test_error_gpu_without_a_card(monkeypatch):
    monkeypatch.setattr(device.paddle, "is_compiled_with_cuda", lambda: True)
    monkeypatch.setattr(device.paddle.device.cuda, "device_count", lambda: 0)
    with pytest.raises(MachineError, match="no card is visible"):
        choose_place(True)
    assert isinstance(choose_place(None), paddle.CPUPlace)


def draws():
    return [random.random(), np.random.random(), *paddle.rand([3]).numpy().tolist()]


def test_value_a_seed_repeats_all_three_generators():
    seed_everything(7, False)
    first = draws()
    assert draws() != first
    seed_everything(7, True)
    assert draws() == first
    seed_everything(8, False)
    assert all(a != b for a, b in zip(draws(), first))


def test_value_large_seeds_are_taken():
    seed_everything(2**32 + 5, False)
    first = np.random.random()
    np.random.seed(5)
    assert np.random.random() == first


@pytest.mark.parametrize("deterministic", [False, True])
def test_value_deterministic_pins_cudnn_where_there_is_cuda(deterministic, monkeypatch):
    flags = []
    monkeypatch.setattr(device.paddle, "is_compiled_with_cuda", lambda: True)
    monkeypatch.setattr(device.paddle, "seed", lambda _: None)  # it would reach for the card
    monkeypatch.setattr(device.paddle, "set_flags", flags.append)
    seed_everything(7, deterministic)
    assert flags == ([{"FLAGS_cudnn_deterministic": True}] if deterministic else [])
