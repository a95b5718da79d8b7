"""Which kernels eager layers and losses take: Paddle's, or inside :func:`fast_kernels` those of this package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import paddle
import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor, static

from dygraph.kernels import bilinear, convolution, cross_entropy, onednn
from dygraph.kernels.bilinear import Positions
from dygraph.kernels.convolution import Options

_chosen: ContextVar[bool] = ContextVar("fast kernels", default=False)


def lacking() -> str | None:
    """Why this Paddle cannot take the kernels in both modes; None where it can."""
    if not hasattr(static, "register_op"):
        return f"Paddle {paddle.__version__} takes no Python operator into a Program; Paddle 3.3 does"
    if onednn.library() is None:
        return f"this Paddle ({paddle.__version__}) carries no oneDNN 3"
    return None


@contextmanager
def fast_kernels(chosen: bool = True) -> Iterator[None]:
    """Layers called inside compute by the kernels of this package where those are faster: float32 NCHW on a CPU."""
    token = _chosen.set(chosen)
    try:
        yield
    finally:
        _chosen.reset(token)


def convolve(
    x: Tensor,
    kernel: Tensor,
    stride: int | Sequence[int] = 1,
    padding: int | str | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """``F.conv2d`` of NCHW, without a bias."""
    if _fits(x, kernel):
        options = Options.of(stride, padding, dilation, groups)
        if options.pays(kernel.shape):
            return _Convolve.apply(x, kernel, options)
    return F.conv2d(x, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups)


def resize(x: Tensor, size_hw: Sequence[Any], positions: Positions, data_format: str) -> Tensor:
    """``F.interpolate`` as ``bilinear``; by the other kernel where a gradient will be asked for."""
    if data_format == "NCHW" and _fits(x) and not x.stop_gradient and paddle.is_grad_enabled():
        return _Resize.apply(x, [int(size) for size in size_hw], positions)
    return F.interpolate(
        x,
        size=list(size_hw),
        mode="bilinear",
        align_corners=positions.align_corners,
        align_mode=0 if positions.half_pixels else 1,
        data_format=data_format,
    )


def pixel_cross_entropy(logits: Tensor, label: Tensor, ignore_index: int) -> Tensor:
    """``F.cross_entropy`` of ``[N, K, H, W]`` and ``[N, 1, H, W]``: a loss for each pixel, 0 where it is ignored."""
    if _fits(logits):
        return _CrossEntropy.apply(logits, label, ignore_index)
    return F.cross_entropy(logits, label, ignore_index=ignore_index, reduction="none", axis=1)


def _fits(*tensors: Tensor) -> bool:
    return (
        _chosen.get()
        and paddle.in_dynamic_mode()
        and all(tensor.dtype == paddle.float32 and tensor.place.is_cpu_place() for tensor in tensors)
    )


class _Convolve(paddle.autograd.PyLayer):
    @staticmethod
    def forward(ctx, x: Tensor, kernel: Tensor, options: Options) -> Tensor:
        ctx.options, ctx.constant = options, (x.stop_gradient, kernel.stop_gradient)
        ctx.save_for_backward(x, kernel)
        return convolution.forward(x, kernel, options)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        given = (*ctx.saved_tensor(), gradient, ctx.options)
        if not any(ctx.constant):
            return convolution.gradients(*given)
        image_is_constant, kernel_is_constant = ctx.constant
        return (
            None if image_is_constant else convolution.image_gradient(*given),
            None if kernel_is_constant else convolution.kernel_gradient(*given),
        )


class _Resize(paddle.autograd.PyLayer):
    @staticmethod
    def forward(ctx, x: Tensor, size_hw: Sequence[int], positions: Positions) -> Tensor:
        ctx.size_hw, ctx.positions = x.shape[2:], positions
        return bilinear.forward(x, size_hw, positions)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return bilinear.gradient(gradient, ctx.size_hw, ctx.positions)


class _CrossEntropy(paddle.autograd.PyLayer):
    @staticmethod
    def forward(ctx, logits: Tensor, label: Tensor, ignore_index: int) -> Tensor:
        softmax, loss = cross_entropy.forward(logits, label, ignore_index)
        ctx.save_for_backward(label, softmax)
        ctx.ignore_index = ignore_index
        return loss

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return cross_entropy.gradient(*ctx.saved_tensor(), gradient, ctx.ignore_index), None
