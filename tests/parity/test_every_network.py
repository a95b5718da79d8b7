"""The whole ladder with a small network of every architecture, in both layouts: equal bits on every rung."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.ladder.bits import Both
from scripts.ladder.climb import Ladder
from scripts.ladder.rung import RUNGS, first_red
from shared.registry import MODELS
from tests.parity.runs import tiny_run, write_images
from tests.zoo import ZOO

#: Networks in the default run, one a layout; all others are slow.
DEFAULT = {
    "NCHW": ("BiSeNetV2",),
    "NHWC": ("DeepLabV3P",),
}
#: Networks that ``make parity-oldest`` climbs with: between them most kinds of layers and losses that a recipe has.
CORE = {
    "NCHW": ("FCN", "DeepLabV3P", "BiSeNetV2", "EMANet"),
    "NHWC": ("DeepLabV3P",),
}
#: A minute or more each, of layers that UNet, and U2Netp in both layouts, climb with too.
REPEATS = {
    "NCHW": ("U2Net",),
    "NHWC": ("AttentionUNet", "U2Net", "UNet3Plus", "UNetPlusPlus"),
}
STEPS = 20


def _every_network():
    """Every architecture of the registry in both layouts."""

    def marks(name, layout):
        asked = ((pytest.mark.oldest, CORE), (pytest.mark.repeats, REPEATS))
        slow = [] if name in DEFAULT[layout] else [pytest.mark.slow]
        return slow + [mark for mark, names in asked if name in names[layout]]

    return [pytest.param(name, layout, marks=marks(name, layout)) for layout in CORE for name in sorted(MODELS)]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("images"))


@pytest.mark.parametrize(("name", "layout"), _every_network())
def test_parity_every_rung(images, name, layout):
    run = tiny_run(name, images, layout)
    ladder = Ladder(Both(run, run), steps=STEPS, output_ops=("none",))
    rungs = {}
    for rung in ladder.climb():
        if rung.name == "layers, evaluation":
            start = ladder.pair.eager.state().model
        rungs[rung.name] = rung
    assert first_red(list(rungs.values())) is None, [str(one) for one in first_red(list(rungs.values())).different[:5]]
    assert tuple(rungs) == RUNGS
    assert all(rung.comparisons for rung in rungs.values()), "a rung without a comparison shows nothing"
    _compared_everything(ladder, rungs, ZOO[name].unused)
    assert np.isfinite(ladder.losses.eager).all()
    assert len(ladder.losses.eager) == len(ladder.losses.static) == STEPS
    end = ladder.pair.eager.state().model
    leaves = [(key, layer) for key, layer in ladder.pair.eager.network.named_sublayers() if not layer.sublayers()]
    frozen = tuple(f"{key}." for key, layer in leaves if layer.parameters() and not _is_trained(layer))
    read = [key for key in start if not key.startswith(frozen)]
    moved = [key for key in read if not np.array_equal(start[key], end[key])]
    assert len(moved) > 0.9 * len(read), "the steps moved almost nothing"


def _compared_everything(ladder, rungs, unused):
    """No tensor is left out, and the gradients are not all zero."""
    network = ladder.pair.eager.network
    read = {k for k, p in network.named_parameters() if not (p.stop_gradient or k.startswith(unused))}
    assert {one.name for one in rungs["gradients"].comparisons} == read
    state = ladder.pair.eager.state()
    assert {one.name for one in rungs["first weights"].comparisons} == set(state.model)
    assert {*state.model, *state.optimizer} < {one.name for one in rungs["one step"].comparisons}
    leaves = [key for key, layer in network.named_sublayers() if not layer.sublayers() and _is_trained(layer)]
    seen = {one.name for one in rungs["layers, training"].comparisons}
    called = [key for key in leaves if key in seen or f"{key}[0]" in seen]
    assert len(called) > 0.9 * len(leaves), sorted(set(leaves) - set(called))  # some read a layer's weight themselves


def _is_trained(layer):
    """False for the layers that stand in published weights and nothing reads: they are frozen."""
    return any(not parameter.stop_gradient for parameter in layer.parameters())
