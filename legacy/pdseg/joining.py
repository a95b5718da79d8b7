"""Neighbouring operators of a Program become one that calls them one after the other.

Before a Program runs for the first time, Paddle spends a millisecond or more on each operator of its own, the more the
longer the Program, and next to nothing on one written in Python: 4 s instead of 10 for FCN-HRNet-W18's first step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from paddle import Tensor, pir, static

from legacy.pdseg.call_sequence import write_sequence
from legacy.pdseg.calls import Call, paddle_call
from legacy.pdseg.kernels import kernel_call, resized_images

_UPDATES = ("pd_op.momentum_", "pd_op.adam_", "pd_op.adamw_")
_CONVOLUTION = "pd_op.conv2d"
_ADD_GRADIENT = "pd_op.add_grad"
_BATCH_NORM, _NORM_AGAIN, _RESERVED = "pd_op.batch_norm_", "pd_op.batch_norm", 5
_JOINED = {
    # the running mean and variance are moved where they are; the reserved space, for a GPU, is not there
    _BATCH_NORM: {"in_place": {1: 1, 2: 2}},
    _NORM_AGAIN: {},
    "pd_op.batch_norm_grad": {"absent": (7,)},
    "pd_op.relu": {},
    "pd_op.relu_grad": {},
    "pd_op.add": {},
    _ADD_GRADIENT: {},
    "pd_op.add_n": {},
    _CONVOLUTION: {},
    f"{_CONVOLUTION}_grad": {},
}


def join_operators(program: static.Program, kept: Iterable[pir.Value]) -> Callable[[pir.Value], pir.Value]:
    """Join operators, by ``dygraph.kernels`` where they are faster; most Values in between are no more.

    Args:
        kept: Values that will be asked for.

    Returns:
        gives for a Value of ``kept``, or one that no joined operator gave, the one that took its place.
    """
    block = program.global_block()
    names = {value.hash() for value in kept}
    new: dict[int, pir.Value] = {}
    with static.program_guard(program):
        for group in [*_update_groups(block), *reversed(_groups(block))]:
            new.update(write_sequence(group, names))
        pir.set_insertion_point_to_block_end(block)
    return lambda value: new.get(value.hash(), value)


def _update_groups(block: pir.Block) -> Iterator[list[Call]]:
    """The updates of an optimiser in a branch, all of them together."""
    for branch in block.ops:
        for inner in branch.blocks():
            updates = [paddle_call(op) for op in inner.ops if op.name() in _UPDATES]
            if updates:
                yield updates


def _groups(block: pir.Block) -> list[list[Call]]:
    """A convolution with what follows it; its gradient with what comes before it. A kernel counts as a convolution."""
    resized = resized_images(block)
    groups: list[list[Call]] = [[]]
    for op in block.ops:
        call = _call(op, resized)
        if call is None:
            if _reads(op, groups[-1]):
                groups.append([])
            continue
        is_convolution = call.is_kernel or op.name().startswith(_CONVOLUTION)
        is_gradient = op.name().endswith("_grad")
        if is_convolution and not is_gradient:
            groups.append([])
        groups[-1].append(call)
        if is_convolution and is_gradient:
            groups.append([])
    return [group for group in groups if len(group) > 1 or any(call.is_kernel for call in group)]


def _call(op: pir.Operation, resized: set[int]) -> Call | None:
    """``op`` as a call, if it is to be one."""
    kernel = kernel_call(op, resized)
    if kernel is not None or not _is_joined(op):
        return kernel
    if op.name() == _BATCH_NORM and not all(_is_joined(user) for user in op.result(_RESERVED).all_used_ops()):
        return None
    return _add_gradients(op) if op.name() == _ADD_GRADIENT else paddle_call(op, **_JOINED[op.name()])


def _is_joined(op: pir.Operation) -> bool:
    if op.name() == _ADD_GRADIENT and len({tuple(value.shape) for value in op.operands_source()}) > 1:
        return False
    is_norm = op.name() in (_BATCH_NORM, _NORM_AGAIN)
    sized = (result for i, result in enumerate(op.results()) if not (is_norm and i == _RESERVED))
    return op.name() in _JOINED and all(result.initialized() and -1 not in result.shape for result in sized)


def _add_gradients(op: pir.Operation) -> Call:
    """Those of a sum of two of the same shape, without the two: nothing else may need them any more."""
    return Call(op, _twice, (2,), (), overwriting=_and_a_copy)


def _twice(gradient: Tensor) -> tuple[Tensor, Tensor]:
    return gradient.clone(), gradient.clone()


def _and_a_copy(gradient: Tensor) -> tuple[Tensor, Tensor]:
    return gradient, gradient.clone()


def _reads(op: pir.Operation, group: list[Call]) -> bool:
    """Whether ``op`` reads what ``group`` gives; a list for a joined sum is read by that one."""
    if op.name() == "builtin.combine" and all(user.name() == "pd_op.add_n" for user in op.result(0).all_used_ops()):
        return False
    given = {result.hash() for call in group for result in call.results()}
    inner = [one for block in op.blocks() for one in block.ops]
    return any(value.initialized() and value.hash() in given for one in (op, *inner) for value in one.operands_source())
