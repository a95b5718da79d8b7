"""What holds of every architecture, generated from the registry: layouts, sizes, gradients, first weights."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.build import build_model
from scripts.oracle.fixed_weights import fixed_input
from shared.registry import MODELS
from tests.dygraph.networks import default_dtype, fill, run_all, static_mode
from tests.zoo import ZOO

NUM_CLASSES = 3
RANDOM_OPERATORS = ("gaussian", "uniform", "randint", "truncated_gaussian_random", "randperm")

HEAVY = ("AttentionUNet", "U2Net", "UNet", "UNet3Plus", "UNetPlusPlus")  # full-size features of many channels

every_network = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in HEAVY else name for name in sorted(MODELS)]
)


def test_every_network_is_in_the_zoo():
    assert set(ZOO) == set(MODELS)


def _build(name, data_format="NCHW"):
    return build_model(ZOO[name].small_spec, num_classes=NUM_CLASSES, data_format=data_format)


def _flat(maps):
    return [x for one in maps for x in (one if isinstance(one, (list, tuple)) else [one])]


@every_network
def test_value_nhwc_equals_nchw(name):
    with default_dtype("float64"):
        networks = [fill(_build(name, data_format)) for data_format in ("NCHW", "NHWC")]
    images = fixed_input((2, 3, 65, 33))
    for training in (False, True):
        expected, found = (_flat(run_all(network, images, training)) for network in networks)
        assert len(found) == len(expected)
        for nchw, nhwc in zip(expected, found):
            np.testing.assert_allclose(nhwc, nchw, rtol=0, atol=1e-9 * np.abs(nchw).max())
    nchw, nhwc = (network.state_dict() for network in networks)
    assert list(nchw) == list(nhwc)
    for key, value in nchw.items():  # the statistics that training moved
        np.testing.assert_allclose(nhwc[key].numpy(), value.numpy(), rtol=1e-9, atol=1e-12, err_msg=key)


@every_network
def test_value_the_inner_layout_is_the_one_asked_for(name):
    """Every layer that knows a layout has the network's: one that is forgotten would transpose or compute nonsense."""
    others = []
    for key, layer in _build(name, "NHWC").named_sublayers():
        layout = getattr(layer, "_data_format", None) or getattr(layer, "data_format", None)
        if layout not in (None, "NHWC"):
            others.append((key, type(layer).__name__, layout))
    assert others == []


@every_network
def test_shape_logits_have_the_size_of_the_image(name):
    network = _build(name)
    for size_hw in ((129, 257), (31, 50)):
        maps = run_all(network, np.zeros((1, 3, *size_hw), np.float32), training=False)
        main, *others = _flat(maps)
        assert main.shape == (1, NUM_CLASSES, *size_hw)
        assert all(x.shape[2:] == size_hw and x.shape[1] in (1, NUM_CLASSES) for x in others)


@every_network
def test_shape_as_many_maps_in_training_as_the_recipe_has_losses(name):
    network = _build(name)
    maps = run_all(network, fixed_input((2, 3, 64, 64)), training=True)
    assert len(maps) == len(ZOO[name].losses)


@every_network
def test_grad_reaches_every_parameter(name):
    network = fill(_build(name))
    network.train()
    maps = _flat(network(paddle.to_tensor(fixed_input((2, 3, 64, 64)).astype("float32"))))
    sum(x.square().mean() for x in maps).backward()
    trainable = {k: p for k, p in network.named_parameters() if not p.stop_gradient}
    without = [k for k, p in trainable.items() if p.grad is None or not np.isfinite(p.grad.numpy()).all()]
    unused = [k for k in trainable if k.startswith(ZOO[name].unused)] if ZOO[name].unused else []
    assert without == unused


@every_network
def test_value_weights_are_drawn_in_the_startup_program_only(name):
    with static_mode() as (main, startup):
        network = _build(name)
        network.eval()
        network(paddle.static.data("image", [1, 3, 64, 64], "float32"))
        drawn = {
            label: [op.name() for op in program.global_block().ops if op.name().endswith(RANDOM_OPERATORS)]
            for label, program in (("main", main), ("startup", startup))
        }
        matrices = sum(p.ndim > 1 for p in network.parameters())
    assert drawn["main"] == []
    assert len(drawn["startup"]) >= matrices > 0  # every kernel; biases, scales and statistics begin constant
