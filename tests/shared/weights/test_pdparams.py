from __future__ import annotations

import base64
import collections
import io
import os
import pickle
import struct
import subprocess

import numpy as np
import pytest

from shared.errors import CheckpointError
from shared.weights.pdparams import load_pdparams

# {"w": tuple of name and [[0,1,2],[3,4,5]], "e": empty [0,3], "LR_Scheduler": ..., "master_weights": {"w": 2 w}},
# written by paddle.save of Paddle 2.6.2 under NumPy 1.26 with pickle protocols 2 and 4.
PADDLE_2_PROTOCOL_2 = (
    "gAJ9cQAoWAEAAAB3cQFjX19idWlsdGluX18KdHVwbGUKcQJYEgAAAGdlbmVyYXRlZF90ZW5zb3JfMHEDY251bXB5LmNvcmUubXVsdGlhcnJheQpf"
    "cmVjb25zdHJ1Y3QKcQRjbnVtcHkKbmRhcnJheQpxBUsAhXEGY19jb2RlY3MKZW5jb2RlCnEHWAEAAABicQhYBgAAAGxhdGluMXEJhnEKUnELh3EM"
    "UnENKEsBSwJLA4ZxDmNudW1weQpkdHlwZQpxD1gCAAAAZjRxEImIh3ERUnESKEsDWAEAAAA8cRNOTk5K/////0r/////SwB0cRRiiWgHWBsAAAAA"
    "AAAAAADCgD8AAABAAABAQAAAwoBAAADCoEBxFWgJhnEWUnEXdHEYYoZxGYVxGlJxG1gBAAAAZXEcaAJYEgAAAGdlbmVyYXRlZF90ZW5zb3JfMnEd"
    "aARoBUsAhXEeaAuHcR9ScSAoSwFLAEsDhnEhaBKJY19fYnVpbHRpbl9fCmJ5dGVzCnEiKVJxI3RxJGKGcSWFcSZScSdYDAAAAExSX1NjaGVkdWxl"
    "cnEofXEpKFgKAAAAbGFzdF9lcG9jaHEqSwNYBwAAAGxhc3RfbHJxK0c/hHrhR64Ue3VYDgAAAG1hc3Rlcl93ZWlnaHRzcSx9cS1oAWgCWAsAAABl"
    "YWdlcl90bXBfMHEuaARoBUsAhXEvaAuHcTBScTEoSwFLAksDhnEyaBKJaAdYGgAAAAAAAAAAAABAAADCgEAAAMOAQAAAAEEAACBBcTNoCYZxNFJx"
    "NXRxNmKGcTeFcThScTlzdS4="
)
PADDLE_2_PROTOCOL_4 = (
    "gASVtAEAAAAAAAB9lCiMAXeUjAhidWlsdGluc5SMBXR1cGxllJOUjBJnZW5lcmF0ZWRfdGVuc29yXzCUjBVudW1weS5jb3JlLm11bHRpYXJyYXmU"
    "jAxfcmVjb25zdHJ1Y3SUk5SMBW51bXB5lIwHbmRhcnJheZSTlEsAhZRDAWKUh5RSlChLAUsCSwOGlGgJjAVkdHlwZZSTlIwCZjSUiYiHlFKUKEsD"
    "jAE8lE5OTkr/////Sv////9LAHSUYolDGAAAAAAAAIA/AAAAQAAAQEAAAIBAAACgQJR0lGKGlIWUUpSMAWWUaASMEmdlbmVyYXRlZF90ZW5zb3Jf"
    "NJRoCGgLSwCFlGgNh5RSlChLAUsASwOGlGgViUMAlHSUYoaUhZRSlIwMTFJfU2NoZWR1bGVylH2UKIwKbGFzdF9lcG9jaJRLA4wHbGFzdF9scpRH"
    "P4R64UeuFHt1jA5tYXN0ZXJfd2VpZ2h0c5R9lGgBaASMC2VhZ2VyX3RtcF8ylGgIaAtLAIWUaA2HlFKUKEsBSwJLA4aUaBWJQxgAAAAAAAAAQAAA"
    "gEAAAMBAAAAAQQAAIEGUdJRihpSFlFKUc3Uu"
)
# {"h": bfloat16 [1.5, -2]} by paddle.save of Paddle 2.6.2
PADDLE_2_BFLOAT16 = (
    "gASVxQAAAAAAAAB9lCiMAWiUjBVudW1weS5jb3JlLm11bHRpYXJyYXmUjAxfcmVjb25zdHJ1Y3SUk5SMBW51bXB5lIwHbmRhcnJheZSTlEsAhZRD"
    "AWKUh5RSlChLAUsChZRoBYwFZHR5cGWUk5SMAnUylImIh5RSlChLA4wBPJROTk5K/////0r/////SwB0lGKJQwTAPwDAlHSUYowbU3RydWN0dXJl"
    "ZFRvUGFyYW1ldGVyTmFtZUBAlH2UaAGMC2VhZ2VyX3RtcF8zlHN1Lg=="
)


def _file(tmp_path, content: bytes):
    path = tmp_path / "model.pdparams"
    path.write_bytes(content)
    return path


def _pickled(tmp_path, content, protocol=4):
    return _file(tmp_path, pickle.dumps(content, protocol))


@pytest.mark.parametrize("sample", [PADDLE_2_PROTOCOL_2, PADDLE_2_PROTOCOL_4], ids=["protocol2", "protocol4"])
def test_value_file_of_paddle_2(tmp_path, sample):
    loaded = load_pdparams(_file(tmp_path, base64.b64decode(sample)))
    assert set(loaded) == {"w", "e", "master_weights/w"}
    np.testing.assert_array_equal(loaded["w"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(loaded["master_weights/w"], [[0, 2, 4], [6, 8, 10]])
    assert loaded["e"].shape == (0, 3)
    assert {a.dtype for a in loaded.values()} == {np.dtype(np.float32)}


def test_value_bfloat16_becomes_float32(tmp_path):
    loaded = load_pdparams(_file(tmp_path, base64.b64decode(PADDLE_2_BFLOAT16)))
    assert loaded["h"].dtype == np.float32
    np.testing.assert_array_equal(loaded["h"], [1.5, -2.0])


@pytest.fixture(scope="module")
def paddle_net():
    """A network after one optimiser step, so that weights, statistics and velocities are all there."""
    import paddle

    net = paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 3), paddle.nn.BatchNorm2D(4))
    schedule = paddle.optimizer.lr.PolynomialDecay(0.01, 100)
    optimizer = paddle.optimizer.Momentum(schedule, parameters=net.parameters())
    net(paddle.rand([1, 3, 8, 8])).sum().backward()
    optimizer.step()
    return paddle, net, optimizer


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_value_file_of_the_installed_paddle(tmp_path, paddle_net, protocol):
    paddle, net, optimizer = paddle_net
    paddle.save(net.state_dict(), str(tmp_path / "m.pdparams"), protocol=protocol)
    paddle.save(optimizer.state_dict(), str(tmp_path / "m.pdopt"), protocol=protocol)
    loaded = load_pdparams(tmp_path / "m.pdparams")
    expected = {name: value.numpy() for name, value in net.state_dict().items()}
    assert list(loaded) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(loaded[name], value)
        assert loaded[name].flags.writeable
    velocities = load_pdparams(tmp_path / "m.pdopt")
    expected = {n: v.numpy() for n, v in optimizer.state_dict().items() if n != "LR_Scheduler"}
    assert len(expected) == 4
    assert set(velocities) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(velocities[name], value)


def test_value_nested_state_dict_of_the_installed_paddle(tmp_path, paddle_net):
    paddle, net, _ = paddle_net
    paddle.save({"state_dict": net.state_dict(), "epoch": 3, "notes": ["a", None]}, str(tmp_path / "m.pdparams"))
    loaded = load_pdparams(tmp_path / "m.pdparams")
    assert set(loaded) == {f"state_dict/{name}" for name in net.state_dict()}
    np.testing.assert_array_equal(loaded["state_dict/0.weight"], net[0].weight.numpy())


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_value_every_pickle_protocol(tmp_path, protocol):
    """Protocol 5 rebuilds arrays through another NumPy function, protocols 0 to 2 carry bytes as text."""
    arrays = {
        "f64": np.linspace(-1, 1, 6).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        "big": np.arange(3, dtype=">i4"),
        "half": np.array([0.5, 255.0], np.float16),
        "scalar": np.array(3.25),
        "empty": np.zeros((2, 0), np.float32),
        "flag": np.array([True, False]),
    }
    content = collections.OrderedDict(arrays)
    content["lr"] = np.float64(0.1)
    content["seen"] = {1, 2}
    loaded = load_pdparams(_pickled(tmp_path, content, protocol))
    assert list(loaded) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].dtype == array.dtype.newbyteorder("=")
        assert loaded[name].flags.c_contiguous


@pytest.mark.parametrize("protocol", [2, 4])
def test_value_sliced_big_tensor(tmp_path, protocol):
    """The layout ``paddle.save(protocol=2)`` gives an int64 tensor of 134217733 elements, at a smaller size."""
    content = {
        "s": np.ones(2, np.float32),
        "StructuredToParameterName@@": {"w": "w_0", "s": "s_0"},
        "w@@.0": np.arange(4),
        "w@@.1": np.arange(4, 6),
        "UnpackBigParamInfor@@": {"w": {"OriginShape": (3, 2), "slices": ["w@@.0", "w@@.1"]}},
    }
    loaded = load_pdparams(_pickled(tmp_path, content, protocol))
    assert set(loaded) == {"s", "w"}
    np.testing.assert_array_equal(loaded["w"], [[0, 1], [2, 3], [4, 5]])


@pytest.mark.slow
def test_value_sliced_big_tensor_of_the_installed_paddle(tmp_path):
    import paddle

    count = 2**30 + 7
    values = np.zeros(count, np.uint8)
    values[::1_000_003] = 5
    values[-1] = 9
    paddle.save({"w": paddle.to_tensor(values)}, str(tmp_path / "m.pdparams"), protocol=2)
    loaded = load_pdparams(tmp_path / "m.pdparams")
    assert set(loaded) == {"w"}
    assert np.array_equal(loaded["w"], values)


class _Call:
    """Pickles to a call of ``function(*arguments)``."""

    def __init__(self, function, *arguments):
        self._call = (function, arguments)

    def __reduce__(self):
        return self._call


def _global(module: str, name: str, arguments: bytes = b"(") -> bytes:
    """A protocol-0 pickle that calls ``module.name``."""
    return f"c{module}\n{name}\n".encode() + arguments + b"tR."


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize(
    ("function", "refused"),
    [
        (os.system, r"(posix|nt)\.system"),
        (eval, r"builtin\S*\.eval"),
        (getattr, r"getattr"),
        (subprocess.Popen, r"\.Popen"),
        (io.open, r"io\.open,"),
        (np.load, r"numpy\S*\.load"),
        (bytearray, r"bytearray"),
        (__import__, r"__import__"),
    ],
    ids=["system", "eval", "getattr", "popen", "open", "npload", "bytearray", "import"],
)
def test_error_hostile_pickle_names_what_was_refused(tmp_path, protocol, function, refused):
    marker = tmp_path / "ran"
    path = _pickled(tmp_path, {"w": np.ones(2), "evil": _Call(function, f"touch {marker}")}, protocol)
    with pytest.raises(CheckpointError, match=refused):
        load_pdparams(path)
    assert not marker.exists()


def test_value_the_hostile_pickle_of_these_tests_would_run(tmp_path):
    """The test above can fail: an ordinary unpickler does run the call."""
    marker = tmp_path / "ran"
    pickle.loads(pickle.dumps({"evil": _Call(os.system, f"touch {marker}")}))
    assert marker.exists()


@pytest.mark.parametrize(
    "content",
    [
        _global("numpy", "ndarray", b"((I1000000000000\ntt"),
        _global("numpy.core.multiarray", "_reconstruct", b"(S'a'\n(I99\ntS'b'\n"),
        _global("numpy", "dtype", b"(S'O'\n"),
        _global("numpy", "dtype", b"(S'V99999999999'\n"),
        _global("_codecs", "encode", b"(S'a'\nS'zip'\n"),
        _global("builtins", "tuple", b"(I5\n"),
        b"cos\nsystem\n.",
        b"\x80\x04\x8c\x08builtins\x8c\x0cdict.__init__\x93.",  # a dotted name
        b"\x80\x02c_codecs\nencode\n}U\x0c__defaults__N\x86sb.",  # an attempt to change a known function
        b"\x80\x02(S'module'\nS'name'\ni.",
        b"\x80\x02cnumpy\nndarray\n)\x81.",  # NEWOBJ
        b"\x80\x02\x82\x01.",  # extension registry
        b"\x80\x02Ua\x51.",  # persistent id
    ],
)
def test_error_hostile_opcodes(tmp_path, content):
    with pytest.raises(CheckpointError, match="nothing in it was run"):
        load_pdparams(_file(tmp_path, content))


def test_error_object_and_structured_arrays(tmp_path):
    for array in (np.array([None, "x"]), np.zeros(2, [("a", "f4"), ("b", "f4")]), np.array(["text"])):
        for protocol in (2, 4):
            with pytest.raises(CheckpointError, match=r"dtype|plain numbers"):
                load_pdparams(_pickled(tmp_path, {"w": array}, protocol))


def test_error_array_larger_than_its_bytes(tmp_path):
    content = pickle.dumps({"w": np.zeros(5, np.float32)}, 2)
    assert content.count(b"K\x05\x85") == 1  # the shape (5,)
    path = _file(tmp_path, content.replace(b"K\x05\x85", b"K\x7f\x85"))
    with pytest.raises(CheckpointError, match=r"shape \(127,\) and float32 in 20 bytes"):
        load_pdparams(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x04Nr" + struct.pack("<I", 0xFFFFFFFF) + b".", "LONG_BINPUT 4294967295 is beyond the end"),
        (b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"N.", "FRAME 1099511627776 is beyond the end"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"x.", "damaged"),
    ],
    ids=["memo", "frame", "bytes"],
)
def test_error_lengths_beyond_the_file(tmp_path, content, message):
    with pytest.raises(CheckpointError, match=message):
        load_pdparams(_file(tmp_path, content))


def test_error_dicts_that_multiply(tmp_path):
    inner = {str(i): np.zeros(1) for i in range(300)}
    middle = {str(i): inner for i in range(300)}
    with pytest.raises(CheckpointError, match="more than"):
        load_pdparams(_pickled(tmp_path, {str(i): middle for i in range(300)}))
    deep: dict = {"w": np.zeros(1)}
    for _ in range(10):
        deep = {"d": deep}
    with pytest.raises(CheckpointError, match="nested deeper"):
        load_pdparams(_pickled(tmp_path, deep))
    loop: dict = {"w": np.zeros(1)}
    loop["again"] = loop
    with pytest.raises(CheckpointError, match="nested deeper"):
        load_pdparams(_pickled(tmp_path, loop))


@pytest.mark.parametrize("keep", [0, 1, 10, 100, -2])
def test_error_truncated(tmp_path, keep):
    content = base64.b64decode(PADDLE_2_PROTOCOL_4)
    with pytest.raises(CheckpointError, match=r"model\.pdparams is damaged"):
        load_pdparams(_file(tmp_path, content[:keep]))


def test_error_other_files(tmp_path, paddle_net):
    paddle = paddle_net[0]
    with pytest.raises(CheckpointError, match="not a Paddle weights file"):
        load_pdparams(_file(tmp_path, b"just some text\n" * 20))
    with pytest.raises(CheckpointError, match="is not a file"):
        load_pdparams(tmp_path / "missing.pdparams")
    paddle.save(paddle.ones([2]), str(tmp_path / "one.pdparams"))
    with pytest.raises(CheckpointError, match="single array"):
        load_pdparams(tmp_path / "one.pdparams")
    with pytest.raises(CheckpointError, match=r"no tensors; its keys are \['LR_Scheduler', 'epoch'\]"):
        load_pdparams(_pickled(tmp_path, {"epoch": 3, "LR_Scheduler": {"last_epoch": 1}}))


def test_error_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr("shared.weights.pdparams.MAX_BYTES", 100)
    with pytest.raises(CheckpointError, match="up to 100 bytes"):
        load_pdparams(_pickled(tmp_path, {"w": np.zeros(100)}))
