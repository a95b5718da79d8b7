"""The policy of mixed precision: which type a run uses, and how parameters enter in the low type."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.engine import precision as policy
from dygraph.engine.loss_scaling import describe_precision, make_scaler
from dygraph.engine.precision import Precision, effective_precision, forward, low_parameters
from shared.config.run_config import PrecisionConfig


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_value_mixed_precision_on_a_cpu_is_float32_with_one_sentence(dtype):
    config = PrecisionConfig(dtype)
    found, notes = effective_precision(config, paddle.CPUPlace())
    assert not found.mixed
    assert notes == [f"{dtype} is unavailable on a CPU: the run goes on in float32"]
    assert make_scaler(config, found) is None


def test_value_float32_needs_no_sentence():
    assert effective_precision(PrecisionConfig(), paddle.CPUPlace()) == (Precision(), [])
    assert effective_precision(PrecisionConfig(), object()) == (Precision(), [])


def test_value_what_float32_does_not_use_is_said():
    _, notes = effective_precision(PrecisionConfig("float32", 64.0, "O2"), paddle.CPUPlace())
    assert notes == [
        "loss scale 64: nothing is scaled in float32",
        "amp level O2: nothing is cast in float32",
    ]


@pytest.mark.parametrize(
    ("dtype", "capability"), [("float16", "7.0"), ("bfloat16", "8.0")], ids=["float16", "bfloat16"]
)
def test_value_a_gpu_decides_by_its_capability(dtype, capability, monkeypatch):
    for able in (True, False):
        monkeypatch.setattr(paddle.amp, f"is_{dtype}_supported", lambda able=able: able)
        found, notes = effective_precision(PrecisionConfig(dtype, level="O2"), object())
        assert found == (Precision(dtype, "O2") if able else Precision("float32", "O2"))
        sentence = f"{dtype} is unavailable on this GPU, which is below compute capability {capability}"
        assert [note.partition(":")[0] for note in notes[:1]] == ([] if able else [sentence])


def test_value_scalers():
    dynamic = make_scaler(PrecisionConfig("float16"), Precision("float16"))
    assert (dynamic.initial, dynamic.dynamic, dynamic.growth_interval, dynamic.bad_steps) == (32768.0, True, 1000, 1)
    fixed = make_scaler(PrecisionConfig("float16", 128.0), Precision("float16"))
    assert (fixed.initial, fixed.dynamic) == (128.0, False)
    assert make_scaler(PrecisionConfig("bfloat16"), Precision("bfloat16")) is None
    assert make_scaler(PrecisionConfig("bfloat16", 8.0), Precision("bfloat16")).initial == 8.0
    assert describe_precision(Precision("float16"), dynamic) == "float16 at level O1, dynamic loss scale from 32768"
    assert describe_precision(Precision("bfloat16", "O2"), None) == "bfloat16 at level O2, no loss scale"
    assert describe_precision(Precision(), None) == "float32"


def test_value_no_operator_is_in_both_lists():
    assert not policy.LOW & policy.FLOAT32


class Small(paddle.nn.Layer):
    """A convolution with bias, a norm and a scalar of its own; remembers the types it saw."""

    def __init__(self):
        super().__init__()
        self.conv = paddle.nn.Conv2D(3, 2, 1)
        self.norm = paddle.nn.BatchNorm2D(2)
        self.gamma = self.create_parameter([1], default_initializer=paddle.nn.initializer.Constant(3.0))
        self.seen = {}

    def forward(self, x):
        named = {"weight": self.conv.weight, "bias": self.conv.bias, "norm": self.norm.weight, "gamma": self.gamma}
        self.seen = {name: str(value.dtype) for name, value in named.items()}
        return [x * self.gamma]


@pytest.mark.parametrize(("level", "low"), [("O1", {"bias"}), ("O2", {"weight", "bias", "gamma"})], ids=["O1", "O2"])
def test_value_which_parameters_enter_in_the_low_type(level, low):
    network = Small()
    with low_parameters(network, Precision("bfloat16", level)):
        network(paddle.ones([1, 3, 2, 2]))
    assert {name for name, dtype in network.seen.items() if "bfloat16" in dtype} == low
    network(paddle.ones([1, 3, 2, 2]))
    assert set(network.seen.values()) == {"paddle.float32"}, "afterwards they are as they were"
    assert set(network.state_dict()) == {
        *("conv.weight", "conv.bias", "norm.weight", "norm.bias", "norm._mean", "norm._variance", "gamma")
    }


def test_value_parameters_come_back_when_the_forward_pass_raises():
    network = Small()
    with pytest.raises(RuntimeError, match="planted"), low_parameters(network, Precision("bfloat16", "O2")):
        raise RuntimeError("planted")
    assert network.gamma.dtype == paddle.float32


def test_grad_reaches_the_float32_parameter_through_the_low_copy():
    """float16 multiplies on no CPU, so float64 stands in for the low type: the way there and back is the same."""
    network = Small()
    with low_parameters(network, Precision("float64", "O2")):
        (out,) = network(paddle.full([1, 3, 2, 2], 0.1, "float64"))
    assert out.dtype == paddle.float64
    out.sum().backward()
    assert network.gamma.grad.dtype == paddle.float32
    np.testing.assert_allclose(network.gamma.grad.numpy(), [1.2], rtol=1e-6)


def test_value_logits_leave_in_float32_pairs_too():
    class Low(paddle.nn.Layer):
        def forward(self, x):
            return [x.astype("bfloat16"), (x.astype("bfloat16"), x)]

    whole, (logits, edges) = forward(Low(), paddle.ones([1, 2, 2, 2]), Precision("bfloat16"))
    assert {whole.dtype, logits.dtype, edges.dtype} == {paddle.float32}


def test_value_without_mixed_precision_the_network_is_called_as_it_is():
    given = [object()]
    assert forward(lambda _: given, None, Precision()) is given
