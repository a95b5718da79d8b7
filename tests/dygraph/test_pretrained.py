"""Beginning from weights: files, a server on this machine, a server that is not there, and damaged files."""

from __future__ import annotations

import http.server
import logging
import socket
import threading
from functools import partial

import numpy as np
import paddle
import pytest

from dygraph.build import build_model
from dygraph.pretrained import load_pretrained
from shared.download import fetch as download
from shared.errors import CheckpointError
from tests.integration.conftest import BACKBONE


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A ``.pdparams`` file of a whole network, written by Paddle itself, its backbone's alone, and the arrays."""
    paddle.seed(99)
    network = build_model({"type": "FCN", "backbone": BACKBONE, "num_classes": 7})
    folder = tmp_path_factory.mktemp("weights")
    paddle.save(network.state_dict(), str(folder / "whole.pdparams"))
    paddle.save(network.backbone.state_dict(), str(folder / "backbone.pdparams"))
    (folder / "damaged.pdparams").write_bytes((folder / "whole.pdparams").read_bytes()[:-2000])
    return folder, {name: value.numpy() for name, value in network.state_dict().items()}


@pytest.fixture
def served(weights, monkeypatch, tmp_path):
    """The URL of a server that hands out the folder of weights."""
    monkeypatch.setenv("DUALSEG_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(weights[0]))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def build(**changes):
    paddle.seed(1)
    return build_model({"type": "FCN", "backbone": {**BACKBONE, **changes}, "num_classes": 5})


def arrays(layer):
    return {name: value.numpy() for name, value in layer.state_dict().items()}


def check_backbone(network, wanted):
    for name, value in arrays(network.backbone).items():
        assert np.array_equal(value, wanted[f"backbone.{name}"]), name
    assert np.array_equal(network.head.cls.weight.numpy(), build().head.cls.weight.numpy()), "the head stays random"


@pytest.mark.parametrize("name", ["whole", "backbone"])
def test_value_a_file_fills_the_backbone(name, weights, caplog):
    folder, wanted = weights
    with caplog.at_level(logging.INFO):
        network = build(pretrained=str(folder / f"{name}.pdparams"))
    check_backbone(network, wanted)
    count = len(arrays(network.backbone))
    assert f"loaded {count} of {count} tensors" in caplog.text


def test_value_a_whole_file_fills_a_whole_network_but_the_misshapen(weights, caplog):
    folder, wanted = weights
    network = build()
    with caplog.at_level(logging.INFO):
        load_pretrained(network, str(folder / "whole.pdparams"))
    found = arrays(network)
    differing = [name for name in found if found[name].shape != wanted[name].shape]
    assert sorted(differing) == ["head.cls.bias", "head.cls.weight"]
    assert all(np.array_equal(found[name], wanted[name]) for name in found if name not in differing)
    assert "num_classes 7 in the file, 5 here" in caplog.text


def test_value_a_url_fills_the_backbone(served, weights):
    check_backbone(build(pretrained=f"{served}/backbone.pdparams"), weights[1])


def test_value_an_unreachable_url_warns_and_goes_on(weights, monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(download, "BACKOFF_SECONDS", 0.0)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with caplog.at_level(logging.WARNING):
        network = build(pretrained=f"http://127.0.0.1:{port}/never.pdparams")
    assert "PRETRAINED WEIGHTS NOT LOADED" in caplog.text
    plain = arrays(build())
    assert all(np.array_equal(value, plain[name]) for name, value in arrays(network).items())


@pytest.mark.parametrize("where", ["file", "url"])
def test_error_a_damaged_file(where, served, weights):
    source = f"{served}/damaged.pdparams" if where == "url" else str(weights[0] / "damaged.pdparams")
    with pytest.raises(CheckpointError, match=r"damaged\.pdparams"):
        build(pretrained=source)


def test_error_a_file_that_is_not_there(tmp_path):
    with pytest.raises(CheckpointError, match="there is no such file"):
        build(pretrained=str(tmp_path / "none.pdparams"))


def test_error_nothing_in_the_file_fits(tmp_path):
    paddle.save({"elsewhere": paddle.ones([2])}, str(tmp_path / "other.pdparams"))
    with pytest.raises(CheckpointError, match=r"no tensor of .* fits the network"):
        build(pretrained=str(tmp_path / "other.pdparams"))
