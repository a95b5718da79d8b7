"""Two-dimensional convolutions in oneDNN: the values, and the gradients of images and kernels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

import paddle
from paddle import Tensor

from dygraph.kernels import onednn
from dygraph.kernels.onednn import Operand, Primitive

_MOST_KEPT = 512
_UNKNOWN = -1


class Options(NamedTuple):
    """How a kernel moves over an image; each pair is of height and width.

    ``padding`` is what stands before and behind each axis: ``(top, bottom, left, right)``, or ``"same"`` for an output
    of ``ceil(size / stride)``, whose dilation is 1.
    """

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] | str = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @classmethod
    def of(
        cls,
        stride: int | Sequence[int],
        padding: int | str | Sequence[int],
        dilation: int | Sequence[int],
        groups: int,
    ) -> Options:
        """From what Paddle's convolutions are given: one number or two, four for ``padding`` or its name."""
        if isinstance(padding, str):
            if padding.upper() == "VALID":
                return cls(_pair(stride), (0, 0, 0, 0), _pair(dilation), groups)
            return cls(_pair(stride), "same", (1, 1), groups)
        if isinstance(padding, int) or len(padding) == 2:
            vertical, horizontal = _pair(padding)
            padding = (vertical, vertical, horizontal, horizontal)
        return cls(_pair(stride), tuple(padding), _pair(dilation), groups)

    def pads(self, image_hw: Sequence[int], kernel_hw: Sequence[int]) -> tuple[int, int, int, int]:
        """Zeros at the top, at the bottom, on the left and on the right."""
        if self.padding != "same":
            return self.padding
        missing = [
            max((-(-size // step) - 1) * step + kernel - size, 0)
            for size, step, kernel in zip(image_hw, self.stride, kernel_hw)
        ]
        return missing[0] // 2, missing[0] - missing[0] // 2, missing[1] // 2, missing[1] - missing[1] // 2

    def output_shape(self, image_shape: Sequence[int], kernel_shape: Sequence[int]) -> list[int]:
        """``[N, C, H, W]`` and ``[O, C / groups, h, w]`` to ``[N, O, H', W']``; -1 stays an unknown size."""
        pads = self.pads(image_shape[2:], kernel_shape[2:])
        found = [image_shape[0], kernel_shape[0]]
        for i, size in enumerate(image_shape[2:]):
            reach = self.dilation[i] * (kernel_shape[2 + i] - 1) + 1
            moves = (size + pads[2 * i] + pads[2 * i + 1] - reach) // self.stride[i]
            found.append(_UNKNOWN if size == _UNKNOWN else moves + 1)
        return found

    def pays(self, kernel_shape: Sequence[int]) -> bool:
        """Whether oneDNN is the faster one: where Paddle's own convolution lays out columns, on one thread."""
        columns = max(kernel_shape[2:]) > 1 or max(self.stride) > 1
        return columns or (self.padding != "same" and max(self.padding) > 0)


def forward(x: Tensor, kernel: Tensor, options: Options) -> Tensor:
    """The convolution of ``[N, C, H, W]`` with ``[O, C / groups, h, w]``, both float32 on the CPU."""
    computed = _convolution(tuple(x.shape), tuple(kernel.shape), options)
    result = paddle.empty(computed.output_shape, "float32")
    computed.values(x.contiguous(), kernel.contiguous(), result)
    return result


def image_gradient(x: Tensor, kernel: Tensor, gradient: Tensor, options: Options) -> Tensor:
    """The gradient of ``x`` for that of the result; the values of ``x`` are not looked at."""
    computed = _convolution(tuple(x.shape), tuple(kernel.shape), options)
    result = paddle.empty(x.shape, "float32")
    computed.image_gradient(gradient.contiguous(), kernel.contiguous(), result)
    return result


def kernel_gradient(x: Tensor, kernel: Tensor, gradient: Tensor, options: Options) -> Tensor:
    """The gradient of ``kernel`` for that of the result; the values of ``kernel`` are not looked at."""
    computed = _convolution(tuple(x.shape), tuple(kernel.shape), options)
    result = paddle.empty(kernel.shape, "float32")
    computed.kernel_gradient(x.contiguous(), gradient.contiguous(), result)
    return result


def gradients(x: Tensor, kernel: Tensor, gradient: Tensor, options: Options) -> tuple[Tensor, Tensor]:
    """Both of them: of ``x``, and of ``kernel``."""
    computed = _convolution(tuple(x.shape), tuple(kernel.shape), options)
    of_image, of_kernel = paddle.empty(x.shape, "float32"), paddle.empty(kernel.shape, "float32")
    laid_out = computed.image_gradient.laid_out(0, gradient.contiguous())  # once, if both want the same layout
    computed.image_gradient(laid_out, kernel.contiguous(), of_image)
    computed.kernel_gradient(x.contiguous(), laid_out, of_kernel)
    return of_image, of_kernel


class _Convolution:
    """One convolution for tensors of fixed shapes; each of its primitives is made when it is first needed."""

    def __init__(self, image_shape: tuple[int, ...], kernel_shape: tuple[int, ...], options: Options) -> None:
        out, *rest = kernel_shape
        grouped = kernel_shape if options.groups == 1 else (options.groups, out // options.groups, *rest)
        self.output_shape = options.output_shape(image_shape, kernel_shape)
        self._shapes = image_shape, grouped, self.output_shape
        self._layouts = [onednn.any_layout(shape) for shape in self._shapes]
        top, bottom, left, right = options.pads(image_shape[2:], kernel_shape[2:])
        moves = options.stride, [d - 1 for d in options.dilation], (top, left), (bottom, right)
        self._moves = [onednn.sizes(numbers) for numbers in moves]

    @cached_property
    def values(self) -> Primitive:
        """Reads the image and the kernel, writes the result."""
        image, kernel, result = self._shapes
        operands = Operand(onednn.SOURCE, image), Operand(onednn.WEIGHTS, kernel), Operand(onednn.TARGET, result, True)
        return Primitive(self._forward, operands)

    @cached_property
    def image_gradient(self) -> Primitive:
        """Reads the result's gradient and the kernel, writes the image's gradient."""
        image, kernel, result = self._shapes
        described = self._described("backward_data", onednn.DIRECT_CONVOLUTION, *self._layouts)
        operands = (
            Operand(onednn.TARGET_GRADIENT, result),
            Operand(onednn.WEIGHTS, kernel),
            Operand(onednn.SOURCE_GRADIENT, image, True),
        )
        return Primitive(described, operands)

    @cached_property
    def kernel_gradient(self) -> Primitive:
        """Reads the image and the result's gradient, writes the kernel's gradient."""
        image, kernel, result = self._shapes
        x, w, y = self._layouts
        described = self._described("backward_weights", onednn.DIRECT_CONVOLUTION, x, w, None, y)
        operands = (
            Operand(onednn.SOURCE, image),
            Operand(onednn.TARGET_GRADIENT, result),
            Operand(onednn.WEIGHTS_GRADIENT, kernel, True),
        )
        return Primitive(described, operands)

    @cached_property
    def _forward(self) -> onednn.Handle:
        x, w, y = self._layouts
        how = onednn.FORWARD_TRAINING, onednn.DIRECT_CONVOLUTION
        return onednn.description("convolution_forward", *how, x, w, None, y, *self._moves)

    def _described(self, direction: str, *arguments: onednn.Handle | int | None) -> onednn.Handle:
        return onednn.description(f"convolution_{direction}", *arguments, *self._moves, self._forward)


_convolution = lru_cache(maxsize=_MOST_KEPT)(_Convolution)


def _pair(numbers: int | Sequence[int]) -> tuple[int, int]:
    return (numbers, numbers) if isinstance(numbers, int) else tuple(numbers)
