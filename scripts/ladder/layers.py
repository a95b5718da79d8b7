"""What every layer of a network gives, in both modes: eager by hooks, static by the same hooks while it is lowered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from paddle import nn, static

from dygraph.engine.static_mode import building
from dygraph.engine.stepper import EagerStepper, set_weights
from dygraph.kernels.choice import fast_kernels
from legacy.pdseg.joining import join_operators
from legacy.pdseg.stepper import StaticStepper
from scripts.ladder.bits import Both, Comparison, compare, incomparable
from scripts.ladder.steps import restore_static
from shared.engine.stepper import StepperState

MOST_BYTES = 2**29  # of the outputs held at once; a network with more runs several times
OUTPUT = "(the network)"

Keep = Callable[[str, Any], None]


@contextmanager
def hooked(network: nn.Layer, keep: Keep) -> Iterator[None]:
    """Call ``keep(name, tensor)`` for what each layer gives, in the order in which the layers finish.

    A layer's name is its structured name, followed by ``#2`` in its second call and by ``[1]`` for the second tensor
    of several.
    """
    calls: dict[str, int] = {}

    def hook_of(name: str):
        def hook(_layer: nn.Layer, _inputs: Any, output: Any) -> None:
            calls[name] = calls.get(name, 0) + 1
            called = name if calls[name] == 1 else f"{name}#{calls[name]}"
            for label, tensor in _flat(called, output):
                keep(label, tensor)

        return hook

    handles = [
        layer.register_forward_post_hook(hook_of(name))
        for name, layer in network.named_sublayers()
        if not isinstance(layer, nn.Sequential)  # gives what its last layer gives
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _flat(name: str, output: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(output, (list, tuple)):
        if isinstance(output, (paddle.Tensor, paddle.pir.Value)):
            yield name, output
    elif len(output) == 1:
        yield from _flat(name, output[0])
    else:
        for index, one in enumerate(output):
            yield from _flat(f"{name}[{index}]", one)


def compare_layers(
    pair: Both, images: Both[np.ndarray], training: bool, seed: int, most_bytes: int = MOST_BYTES
) -> list[Comparison]:
    """Every layer's output in both modes, in the order of the forward pass; weights and statistics are put back.

    Args:
        pair: an eager and a static stepper.
        images: ``[N, 3, H, W]`` for each.
        training: in training mode (batch statistics, dropout) or in evaluation mode.
        seed: of what dropout draws.
        most_bytes: of outputs held at once, for each mode.
    """
    before = Both(pair.eager.state(), pair.static.state())
    fast = pair.static.fast_kernels
    lowered = lower(pair.static.build_network, images.static.shape, training, pair.static.dtype, fast)
    found: dict[str, Comparison] = {}
    order: list[str] = []
    try:
        while True:
            seen, eager = _eager_outputs(pair.eager, images.eager, training, seed, found, most_bytes)
            order = order or seen
            if not eager:
                break
            wanted = [name for name in eager if name in lowered.values]
            ran = _run(pair.static, lowered, wanted, images.static, seed)
            for name, value in eager.items():
                there = name in ran
                found[name] = compare(name, value, ran[name]) if there else incomparable(name, "in eager mode only")
            _put_back(pair, before)
    finally:
        _put_back(pair, before)
    only_static = [incomparable(name, "in static mode only") for name in lowered.values if name not in found]
    return [found[name] for name in order] + only_static


def _put_back(pair: Both, states: Both[StepperState]) -> None:
    set_weights(pair.eager.network, states.eager.model, "the state before")
    restore_static(pair.static, states.static)


def _eager_outputs(
    stepper: EagerStepper, images: np.ndarray, training: bool, seed: int, known: Collection[str], most_bytes: int
) -> tuple[list[str], dict[str, np.ndarray]]:
    """Names of all outputs, and the next ones that are not ``known``, up to ``most_bytes``."""
    order: list[str] = []
    kept: dict[str, np.ndarray] = {}
    room = most_bytes

    def keep(name: str, tensor: paddle.Tensor) -> None:
        nonlocal room
        order.append(name)
        if name not in known and (room > 0 or not kept):
            kept[name] = tensor.numpy()
            room -= kept[name].nbytes

    network = stepper.network
    network.train() if training else network.eval()
    stepper.reseed(seed)
    with hooked(network, keep), paddle.no_grad(), fast_kernels(stepper.fast_kernels):
        for name, output in _flat(OUTPUT, network(paddle.to_tensor(images.astype(stepper.dtype, copy=False)))):
            keep(name, output)
    return order, kept


@dataclass(frozen=True)
class Lowered:
    """A network lowered for one size of images; ``values`` are the outputs of its layers.

    Its parameters have the names they have in the stepper's Programs, so they are those in the stepper's Scope.
    ``error`` is what broke the lowering off, in the layer ``broken``; the layers before it are there.
    """

    program: static.Program
    values: dict[str, paddle.pir.Value]
    error: str = ""
    broken: str = ""


def lower(
    build_network: Callable[[], nn.Layer], shape: Sequence[int], training: bool, dtype: str, fast: bool = False
) -> Lowered:
    """Lower a network for images of ``shape`` ``[N, 3, H, W]``, with hooks on its layers; ``fast``: see the stepper."""
    values: dict[str, paddle.pir.Value] = {}
    error = ""
    with building() as (main, _):
        network = build_network()
        network.train() if training else network.eval()
        image = static.data("image", list(shape), dtype)
        entered: list[str] = []
        for name, layer in network.named_sublayers():
            layer.register_forward_pre_hook(lambda *_, name=name: entered.append(name))
            layer.register_forward_post_hook(lambda *_: entered.pop() and None)
        try:
            with hooked(network, values.__setitem__):
                values.update(_flat(OUTPUT, network(image)))
        except Exception as raised:  # noqa: BLE001 - whatever it is, it is reported beside the layers before it
            error = first_line(raised)
        if fast:
            now = join_operators(main, values.values())
            values = {name: now(value) for name, value in values.items()}
    return Lowered(main, values, error, entered[-1] if entered else OUTPUT)


def _run(
    stepper: StaticStepper, lowered: Lowered, wanted: Sequence[str], images: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """The wanted outputs. The network's own are fetched with them, so that no dropout is left out as unneeded."""
    fetched = [*wanted, *(name for name in lowered.values if name.startswith(OUTPUT) and name not in wanted)]
    stepper.reseed(seed)
    feed = {"image": images.astype(stepper.dtype, copy=False)}
    return dict(zip(fetched, stepper._run(lowered.program, feed, [lowered.values[name] for name in fetched])))


def compare_shapes(
    eager: EagerStepper, build_network: Callable[[], nn.Layer], shape: Sequence[int], training: bool
) -> list[Comparison]:
    """Where a network that cannot be lowered goes wrong: shapes, layer by layer, up to the error; no values.

    Args:
        eager: the stepper of the mode that works.
        build_network: builds the network that does not, under a Program's guard.
        shape: ``[N, 3, H, W]`` of the images.
        training: in training or in evaluation mode.
    """
    lowered = lower(build_network, shape, training, eager.dtype)
    before = eager.state()
    _, outputs = _eager_outputs(eager, np.zeros(shape, eager.dtype), training, 0, (), 2**62)
    set_weights(eager.network, before.model, "the state before")
    found = []
    for name, value in outputs.items():
        if name not in lowered.values:
            break
        there = list(lowered.values[name].shape)
        same = there == list(value.shape)
        why = f"{list(value.shape)} in eager mode, {there} in static mode"
        found.append(Comparison(name, size=value.size) if same else incomparable(name, why))
    if lowered.error:
        found.append(incomparable(lowered.broken, f"static mode raised {lowered.error} while it was lowered"))
    return found


def first_line(error: Exception) -> str:
    """An error as one line. Paddle's are long, and say what happened in the last one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {next((x for x in lines if 'Error:' in x), lines[-1] if lines else 'no message')}"
