"""Beginning from published weights: lenient loading by structured name, with a summary."""

from __future__ import annotations

import logging

import paddle

from shared.download.fetch import DownloadUnreachable
from shared.weights.matching import match_lenient
from shared.weights.resolve import read_weights

logger = logging.getLogger(__name__)


def load_pretrained(layer: paddle.nn.Layer, source: str, prefix: str = "") -> None:
    """Load what fits of the weights at ``source`` into ``layer`` and log how much that was.

    Where the network is out of reach, a warning says so and the layer keeps its random weights.

    Args:
        layer: a backbone or a whole network.
        source: a path or URL; see ``shared.weights.resolve.read_weights``.
        prefix: of the layer's names in the file, beside ``""`` and ``"backbone."``.

    Raises:
        CheckpointError: the file is missing, damaged, or none of it fits.
        DownloadError: the file of a URL is not there, or cannot be kept.
    """
    try:
        arrays = read_weights(source)
    except DownloadUnreachable as error:
        logger.warning("PRETRAINED WEIGHTS NOT LOADED, training begins from random weights: %s", error)
        return
    own = layer.state_dict()
    report = match_lenient(
        {name: tuple(value.shape) for name, value in own.items()},
        arrays,
        prefixes=tuple(dict.fromkeys(("", "backbone.", prefix))),
        source=source,
    )
    for name, value in report.loaded.items():
        own[name].set_value(value.astype(own[name].numpy().dtype, copy=False))
    logger.info("pretrained weights %s\n%s", source, report.summary())
