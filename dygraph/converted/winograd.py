"""Convolutions of an OpenVINO model as products of matrices with about a quarter of the multiplications.

A tile of ``m`` outputs of a filter of three taps needs ``m + 2`` multiplications instead of ``3 m``, between sums of
its inputs and sums of the taps; in two dimensions the savings multiply (Winograd 1980; Lavin and Gray,
https://arxiv.org/abs/1509.09308). Everything stays float32; the sums round, to about ten times the error of plain ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from openvino import Model, Node, Output
from openvino import opset13 as op

TAPS = 3
#: Outputs of a tile along an axis -> the points its polynomials are taken at, beside infinity; what rounds least.
POINTS: dict[int, tuple[float, ...]] = {2: (0, 1, -1), 4: (0, 5 / 8, -5 / 8, 3 / 2, -3 / 2)}
#: With fewer channels a convolution is memory rather than multiplications.
LEAST_CHANNELS = 256
#: With fewer tiles the weights, of which there are four times as many, take the time.
LEAST_TILES = 32
#: Below this share of the multiplications the sums before and after are paid for.
MOST_MULTIPLICATIONS = 0.5
#: Operators that do the same to ``[N H W, K]`` as to ``[N, K, H, W]``.
CHANNEL_BY_CHANNEL = ("BatchNormInference", "Relu")
#: Tiles in one product, so that the memory for their sums does not grow with the image.
TILES_AT_ONCE = 256


def replace_convolutions(model: Model) -> int:
    """Rewrite the convolutions that gain by it; the model's sizes must be fixed.

    They have three by three taps, stride 1, one group and constant float32 weights; any padding and dilation.

    Returns:
        How many were rewritten.
    """
    found = [node for node in model.get_ordered_ops() if _gains(node)]
    for node in found:
        _replace(node)
    model.validate_nodes_and_infer_types()
    return len(found)


@dataclass(frozen=True)
class Axis:
    """How one axis of a convolution is cut into tiles; each holds outputs that are ``dilation`` apart.

    Attributes:
        size: inputs.
        outputs: outputs.
        dilation: between the taps.
        padding: zeros before the first input.
    """

    size: int
    outputs: int
    dilation: int
    padding: int

    @property
    def tile(self) -> int:
        """Outputs of a tile that need the fewest multiplications."""
        return min(POINTS, key=lambda tile: (tile + TAPS - 1) * len(self._first(tile)))

    @property
    def tiles(self) -> int:
        """How many there are."""
        return len(self._first(self.tile))

    @property
    def multiplications(self) -> int:
        """Of all tiles, for one channel."""
        return (self.tile + TAPS - 1) * self.tiles

    def _first(self, tile: int) -> np.ndarray:
        """The first output of every tile."""
        step = tile * self.dilation
        return np.concatenate([np.arange(phase, self.outputs, step) for phase in range(self.dilation)])

    def reads(self) -> np.ndarray:
        """``[tile + 2, tiles]``: the input at every place of every tile, -1 where it is a zero."""
        places = np.arange(self.tile + TAPS - 1)[:, None] * self.dilation - self.padding + self._first(self.tile)
        return np.where((places >= 0) & (places < self.size), places, -1)

    def writes(self) -> tuple[np.ndarray, np.ndarray]:
        """``[outputs]`` each: the place in its tile, and the tile, of every output."""
        places = np.arange(self.tile)[:, None] * self.dilation + self._first(self.tile)
        place, tile = np.nonzero(places < self.outputs)
        order = np.argsort(places[place, tile])
        return place[order], tile[order]


@cache
def transforms(tile: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``(A, G, B)``: ``A @ ((G @ taps) * (B @ inputs))`` are the tile's outputs; float64.

    ``[tile, tile + 2]``, ``[tile + 2, 3]``, ``[tile + 2, tile + 2]``: Lagrange's interpolation at ``POINTS[tile]``.
    """
    points = np.array(POINTS[tile])
    count = len(points)
    after, taps, inputs = np.zeros((tile, count + 1)), np.zeros((count + 1, TAPS)), np.zeros((count + 1, count + 1))
    for row, point in enumerate(points):
        others = np.delete(points, row)
        after[:, row] = point ** np.arange(tile)
        taps[row] = point ** np.arange(TAPS) / np.prod(point - others)
        inputs[row, :count] = np.poly(others)[::-1]
    after[-1, -1] = taps[-1, -1] = 1  # the point at infinity
    inputs[-1] = np.poly(points)[::-1]
    return after, taps, inputs


def _gains(node: Node) -> bool:
    if node.get_type_name() != "Convolution" or node.input_value(1).get_node().get_type_name() != "Constant":
        return False
    attributes = node.get_attributes()
    out, channels, *taps = node.input_value(1).get_shape()
    if taps != [TAPS, TAPS] or list(attributes["strides"]) != [1, 1] or min(out, channels) < LEAST_CHANNELS:
        return False
    rows, columns = _axes(node)
    if node.get_output_shape(0)[0] * rows.tiles * columns.tiles < LEAST_TILES:
        return False
    plain = TAPS**2 * rows.outputs * columns.outputs
    return rows.multiplications * columns.multiplications <= MOST_MULTIPLICATIONS * plain


def _axes(node: Node) -> tuple[Axis, Axis]:
    attributes = node.get_attributes()
    rows, columns = (
        Axis(*sizes)
        for sizes in zip(
            list(node.input_value(0).get_shape())[2:],
            list(node.get_output_shape(0))[2:],
            attributes["dilations"],
            attributes["pads_begin"],
        )
    )
    return rows, columns


def _replace(node: Node) -> None:
    """Let whoever reads a convolution's output read it from products instead.

    What follows channel by channel stays between the products and the turn to channels first, for a convolution of one
    pixel takes channels last and is spared two copies.
    """
    images, out, *out_hw = node.get_output_shape(0)
    followers, pixels = _followers(node), _products(node)
    for follower in followers:
        follower.input(0).replace_source_output(pixels.output(0))
        follower.validate_and_infer_types()
        pixels = follower
    readers = [node, *followers][-1].output(0).get_target_inputs()
    output = _turned(_shaped(pixels, images, *out_hw, out), 0, 3, 1, 2)
    for reader in readers:
        reader.replace_source_output(output.output(0))


def _followers(node: Node) -> list[Node]:
    """The batch norm and the ReLU behind a node, each the only reader of what is before it."""
    found = [node]
    while True:
        readers = [reader.get_node() for reader in found[-1].output(0).get_target_inputs()]
        if len(readers) != 1 or readers[0].get_type_name() not in CHANNEL_BY_CHANNEL:
            return found[1:]
        found += readers


def _products(node: Node) -> Node:
    """What computes the convolution's output as rows of channels, ``[N H W, K]``."""
    images, channels, *size_hw = node.input_value(0).get_shape()
    out = node.get_output_shape(0)[1]
    rows, columns = _axes(node)
    after, taps, inputs = (np.kron(*pair) for pair in zip(transforms(rows.tile), transforms(columns.tile)))
    weights = node.input_value(1).get_node().data.reshape(out, channels, TAPS**2)
    filters = _constant(np.einsum("pt,oct->poc", taps, weights))
    before, behind = _constant(inputs), _constant(after)
    reads, writes = _reads(images, rows, columns), _writes(images, rows, columns)

    pixels = _shaped(_turned(node.input_value(0), 0, 2, 3, 1), images * size_hw[0] * size_hw[1], channels)
    pixels = op.concat([pixels, _constant(np.zeros((1, channels)))], axis=0)
    parts = []
    for start in range(0, reads.shape[1], TILES_AT_ONCE):
        read = reads[:, start : start + TILES_AT_ONCE]
        sums = _product(before, _shaped(_taken(pixels, read), len(read), -1))
        mixed = _product(_shaped(sums, len(read), -1, channels), filters, turn=True)
        parts.append(_shaped(_product(behind, _shaped(mixed, len(read), -1)), len(after), -1, out))
    tiles = op.concat(parts, axis=1) if len(parts) > 1 else parts[0]
    return _taken(_shaped(tiles, -1, out), writes)


def _reads(images: int, rows: Axis, columns: Axis) -> np.ndarray:
    """``[places of a tile, tiles]``: rows of the pixels ``[N H W, C]``; the last row, a zero, behind them."""
    row, column = rows.reads()[:, None, None, :, None], columns.reads()[None, :, None, None, :]
    image = np.arange(images)[None, None, :, None, None]
    pixel = (image * rows.size + row) * columns.size + column
    pixel = np.where((row >= 0) & (column >= 0), pixel, images * rows.size * columns.size)
    return pixel.reshape(len(row) * column.shape[1], -1)


def _writes(images: int, rows: Axis, columns: Axis) -> np.ndarray:
    """``[N H W]``: rows of the tiles' outputs ``[places of a tile, tiles]`` taken as one axis."""
    (row_place, row_tile), (column_place, column_tile) = rows.writes(), columns.writes()
    tiles_hw = rows.tiles, columns.tiles
    place = row_place[:, None] * columns.tile + column_place
    image = np.arange(images)[:, None, None]
    tile = (image * tiles_hw[0] + row_tile[:, None]) * tiles_hw[1] + column_tile
    return (place * (images * tiles_hw[0] * tiles_hw[1]) + tile).ravel()


def _constant(values: np.ndarray) -> Node:
    return op.constant(values.astype(np.float32))


def _shaped(value: Node, *shape: int) -> Node:
    return op.reshape(value, op.constant(np.array(shape, np.int64)), special_zero=False)


def _turned(value: Node | Output, *axes: int) -> Node:
    return op.transpose(value, op.constant(np.array(axes, np.int64)))


def _taken(value: Node, rows: np.ndarray) -> Node:
    return op.gather(value, op.constant(rows.ravel().astype(np.int32)), op.constant(np.int32(0)))


def _product(left: Node, right: Node, turn: bool = False) -> Node:
    """Of matrices, the right one transposed where ``turn`` says so."""
    return op.matmul(left, right, transpose_a=False, transpose_b=turn)
