"""Several calls as one operator of a Program."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import paddle
from paddle import Tensor, pir

from legacy.pdseg.calls import FRESH, Call, remove
from legacy.pdseg.python_operator import write_operator


class _Step(NamedTuple):
    """A call by numbers of tensors: what it takes, what its results become, and what nobody needs after it."""

    compute: Callable[..., Tensor | Sequence[Tensor]]
    operands: list[int | list[int] | None]
    constants: Sequence[Any]
    results: list[int | None]
    done: list[int]


def write_sequence(calls: Sequence[Call], kept: set[int]) -> dict[int, pir.Value]:
    """Write one operator where the last of ``calls`` stands, in the place of all.

    Args:
        kept: hashes of results that are needed, whether or not an operator reads them.

    Returns:
        the new Value of each result of them that is still there, by the old one's hash.
    """
    for call in calls:
        for result, operand in call.in_place.items():
            call.op.result(result).replace_all_uses_with(call.op.operand_source(operand))
    given = [call.operands() for call in calls]
    made = {result.hash() for call in calls for result in call.results()}
    operands = {value.hash(): value for value in _flat(given) if value.hash() not in made}
    outputs = {result.hash(): result for result in _needed_after(calls, kept)}
    numbers = {key: number for number, key in enumerate([*operands, *made])}
    spared = {numbers[key] for key in _spared(calls, operands.values(), kept)}
    steps = _steps(calls, given, numbers, {numbers[key] for key in outputs}, spared)
    name = "_".join(dict.fromkeys(call.name for call in calls))
    pir.set_insertion_point(calls[-1].op)
    values = write_operator(
        name,
        _function(steps, len(numbers), [numbers[key] for key in outputs]),
        list(operands.values()),
        [(result.shape, result.dtype) for result in outputs.values()] or [([1], paddle.float32)],
    )
    for result, value in zip(outputs.values(), values):
        result.replace_all_uses_with(value)
    for call in reversed(calls):
        remove(call)
    return dict(zip(outputs, values))


def _needed_after(calls: Sequence[Call], kept: set[int]) -> Iterator[pir.Value]:
    own = {call.op.id() for call in calls}
    for call in calls:
        for result in call.results():
            users = [user for user in result.all_used_ops() if user.id() not in own]
            lists = [user for user in users if user.name() == "builtin.combine"]
            outside = len(users) > len(lists) or any(
                user.id() not in own for one in lists for user in one.result(0).all_used_ops()
            )
            if outside or result.hash() in kept:
                yield result


def _spared(calls: Sequence[Call], operands: Iterable[pir.Value], kept: set[int]) -> Iterator[int]:
    """Operands whose memory is not to be written to: something else reads it, or may share it."""
    own = {call.op.id() for call in calls}
    for value in operands:
        is_fresh = value.get_defining_op().name() in FRESH and value.hash() not in kept
        if not is_fresh or any(user.id() not in own for user in value.all_used_ops()):
            yield value.hash()


def _steps(
    calls: Sequence[Call], given: list[list], numbers: dict[int, int], outputs: set[int], spared: set[int]
) -> list[_Step]:
    """From the last to the first, so that what is needed after each is known; ``spared`` memory is not written to."""
    steps: list[_Step] = []
    needed = set(outputs)
    for call, operands in zip(reversed(calls), reversed(given)):
        read = {numbers[value.hash()] for value in _flat([operands])}
        own = [numbers[result.hash()] for result in call.results()]
        results = [number if number in needed else None for number in own]
        done = sorted(read - needed)
        needed |= read
        free = {number for number in done if number not in spared}
        compute = call.overwriting if _can_overwrite(call, operands, numbers, free) else call.compute
        steps.append(_Step(compute, [_numbered(one, numbers) for one in operands], call.constants, results, done))
    return steps[::-1]


def _can_overwrite(call: Call, operands: list, numbers: dict[int, int], free: set[int]) -> bool:
    if call.overwriting is None:
        return False
    operand, result = operands[call.overwritten], call.results()[0]
    return numbers[operand.hash()] in free and (operand.shape, operand.dtype) == (result.shape, result.dtype)


def _function(steps: Sequence[_Step], count: int, outputs: Sequence[int]) -> Callable[..., list[Tensor]]:
    def run(*tensors: Tensor) -> list[Tensor]:
        held: list[Tensor | None] = [*tensors, *[None] * (count - len(tensors))]
        for step in steps:
            operands = [_taken(held, one) for one in step.operands]
            results = step.compute(*operands, *step.constants)
            if len(step.results) == 1:
                results = [results]
            for number, result in zip(step.results, results):
                if number is not None:
                    held[number] = result
            for number in step.done:
                held[number] = None
        return [held[number] for number in outputs] or [paddle.zeros([1])]

    return run


def _taken(held: list[Tensor | None], number: int | list[int] | None) -> Tensor | list[Tensor] | None:
    if isinstance(number, list):
        return [held[one] for one in number]
    return None if number is None else held[number]


def _numbered(operand: Any, numbers: dict[int, int]) -> int | list[int] | None:
    if isinstance(operand, list):
        return [numbers[one.hash()] for one in operand]
    return None if operand is None else numbers[operand.hash()]


def _flat(given: Sequence[Sequence[Any]]) -> Iterator[pir.Value]:
    for operands in given:
        for one in operands:
            if one is not None:
                yield from one if isinstance(one, list) else [one]
