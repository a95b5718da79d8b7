"""What the ranks exchange within a training step, by the same code for eager tensors and for a program being built.

Ranks count equally: a gradient is the plain mean of the ranks' gradients, as in PaddleSeg and in PyTorch's DDP. Where
the ranks' batches hold different numbers of valid pixels this is not the mean over all pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import paddle
from paddle import Tensor

from dygraph.layers.across_ranks import all_reduced

BUCKET_BYTES = 32 * 2**20


class Exchange:
    """The exchanges of one step among ``world`` ranks; with one rank all of them do nothing.

    Every rank makes the same exchanges in the same order. In a step all of them come before the optimiser, so that a
    step that a dead rank breaks has moved no weight.

    Args:
        world: number of ranks.
        bucket_bytes: gradients travel together up to this size; a larger gradient travels alone.
    """

    def __init__(self, world: int = 1, bucket_bytes: int = BUCKET_BYTES) -> None:
        self.world = world
        self.bucket_bytes = bucket_bytes

    def average(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """The mean of each gradient over the ranks, in the order given; new tensors."""
        if self.world == 1:
            return list(gradients)
        averaged: list[Tensor | None] = [None] * len(gradients)
        for bucket in buckets([(str(g.dtype), _bytes_of(g)) for g in gradients], self.bucket_bytes):
            members = [gradients[i] for i in bucket]
            flat = self.mean(paddle.concat([_flat(g) for g in members]))
            parts = paddle.split(flat, [math.prod(g.shape) for g in members]) if len(members) > 1 else [flat]
            for place, part, member in zip(bucket, parts, members):
                averaged[place] = part if part.shape == member.shape else part.reshape(list(member.shape))
        return averaged

    def mean(self, x: Tensor) -> Tensor:
        """``x`` averaged over the ranks, as for the loss that is logged."""
        if self.world == 1:
            return x
        return paddle.divide(all_reduced(x), paddle.full([1] * len(x.shape), self.world, x.dtype))

    def maximum(self, x: Tensor) -> Tensor:
        """The largest of the ranks' ``x``, element by element: an infinity found on one rank counts on all."""
        return x if self.world == 1 else all_reduced(x, paddle.distributed.ReduceOp.MAX)

    def any(self, flag: Tensor) -> Tensor:
        """``[1]`` bool: whether ``flag`` holds on some rank."""
        return flag if self.world == 1 else self.maximum(flag.astype("int32")).astype("bool")


def buckets(tensors: Sequence[tuple[str, int]], most_bytes: int) -> list[list[int]]:
    """Which tensors travel together: places in ``tensors``, grouped by type, in order.

    Args:
        tensors: (dtype, bytes) of each.
        most_bytes: of a bucket; one tensor that is larger has a bucket of its own.
    """
    filled: list[list[int]] = []
    open_bucket: dict[str, tuple[list[int], int]] = {}
    for place, (dtype, size) in enumerate(tensors):
        bucket, used = open_bucket.get(dtype, (None, 0))
        if bucket is None or used + size > most_bytes:
            bucket, used = [], 0
            filled.append(bucket)
        bucket.append(place)
        open_bucket[dtype] = (bucket, used + size)
    return filled


def _flat(x: Tensor) -> Tensor:
    """``[L]``; two of three gradients are it already, and a program is the quicker to prepare the fewer operators."""
    return x if len(x.shape) == 1 else x.flatten()


def _bytes_of(x: Tensor) -> int:
    wide = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}
    return math.prod(x.shape) * wide[str(x.dtype).rpartition(".")[2].lower()]
