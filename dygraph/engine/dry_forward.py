"""A forward pass that computes nothing: how many maps of logits a network gives in training, and from which heads.

The network is built as a Program, whose operators know the shapes of their results and are never run: two seconds and
no memory to speak of for the largest networks at any size, on any machine. Both modes use it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import paddle
from paddle import nn, static

from dygraph.build import WeightedLoss, build_losses, build_model, compute_losses
from dygraph.engine.static_mode import building
from shared.config.run_config import RunConfig
from shared.engine.data import fixed_size_hw
from shared.errors import ConfigError

logger = logging.getLogger(__name__)

DEFAULT_SIZE_HW = (512, 512)  # for training images that nothing brings to one size


def head_problems(run: RunConfig) -> list[str]:
    """What does not fit between the losses of a run and the maps of logits that its network gives in training.

    Args:
        run: the network is built for its batch size and the size of its crops; weights are not fetched.

    Returns:
        Sentences that begin with their dotted key; none where all is well, or where the network cannot be built as a
        Program, which the first step will tell in its own words.

    Raises:
        ConfigError: the network or a loss cannot be built.
    """
    size_hw = DEFAULT_SIZE_HW if run.train_data is None else fixed_size_hw(run.train_data) or DEFAULT_SIZE_HW
    shape = [run.train.batch_size, 3, *size_hw]
    state = paddle.get_rng_state()
    try:
        with building():
            return _problems(run, shape)
    finally:
        paddle.set_rng_state(state)


def _problems(run: RunConfig, shape: list[int]) -> list[str]:
    model = run.model.without("pretrained")
    network = build_model(model, num_classes=run.num_classes, data_format=run.data_format)
    losses = build_losses(run.losses, run.ignore_index)
    network.train()
    image, label = static.data("image", shape, "float32"), static.data("label", [shape[0], *shape[2:]], "int64")
    try:
        with _heads_of(network) as heads:
            maps = network(image)
    except Exception:  # a network of one's own may only run eagerly
        logger.debug("%s cannot be built as a Program", run.model.type, exc_info=True)
        return []
    if len(losses) != len(maps):
        return [_count_problem(run, losses, maps, heads, shape)]
    try:
        compute_losses(losses, maps, label)
    except ConfigError as error:
        return [f"{problem} (the maps are {_list_of(maps, heads)})" for problem in error.problems]
    except Exception:  # as above
        logger.debug("the losses cannot be built as a Program", exc_info=True)
    return []


def _count_problem(
    run: RunConfig, losses: Sequence[WeightedLoss], maps: Sequence[Any], heads: Sequence[str], shape: Sequence[int]
) -> str:
    names = ", ".join(type(term.loss).__name__ for term in losses)
    return (
        f"loss.types: {len(losses)} loss(es) are configured ({names}), but {run.model.type} gives {len(maps)} map(s) "
        f"of logits in training on {shape}: {_list_of(maps, heads)}; name one loss per map, with as many numbers in "
        "loss.coef"
    )


def _list_of(maps: Sequence[Any], heads: Sequence[str]) -> str:
    return ", ".join(f"{place}. {head} {_shape(one)}" for place, (one, head) in enumerate(zip(maps, heads), 1))


def _shape(one: Any) -> str:
    return " and ".join(map(_shape, one)) if isinstance(one, (list, tuple)) else str(list(one.shape))


@contextmanager
def _heads_of(network: nn.Layer) -> Iterator[list[str]]:
    """The layers whose outputs become the maps of the forward pass in the body, by their names in ``state_dict()``."""
    outputs: list[tuple[str, Any]] = []
    heads: list[str] = []

    def remember(name: str) -> Any:
        def hook(_: nn.Layer, __: Any, output: Any) -> None:
            outputs.append((name, output))

        return hook

    def note(_: nn.Layer, __: Any, maps: Any) -> None:
        heads.extend(_head(one, outputs) for one in raw or maps)

    raw: list[Any] = []
    handles = [layer.register_forward_post_hook(remember(name)) for name, layer in network.named_sublayers()]
    handles.append(network.register_forward_post_hook(note))
    give_maps = getattr(network, "logit_maps", None)
    if give_maps is not None:  # before they are resized to the image

        def logit_maps(x: Any) -> Any:
            raw.extend(give_maps(x))
            return list(raw)

        network.logit_maps = logit_maps
    try:
        yield heads
    finally:
        for handle in handles:
            handle.remove()


def _head(one: Any, outputs: Sequence[tuple[str, Any]]) -> str:
    """The outermost layer that gave this map."""
    if isinstance(one, (list, tuple)):
        return "(" + ", ".join(_head(part, outputs) for part in one) + ")"
    names = [name for name, output in outputs if output is one]
    return names[-1] if names else "computed"
