"""From files to arrays: the image, its label, and the checks that keep a wrong label out of the loss."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from shared.datasets.base import Record
from shared.datasets.image_file import ImageFile, exif_orientation, open_image_file, open_with_pillow
from shared.datasets.png import PLAIN_GREY, decode_png
from shared.errors import DataError
from shared.transforms.base import Sample

_PNG_GREY = 0
_SAVE_IDS = "save the label as an 8-bit PNG with one channel of class ids"


def read_image(path: str, origin: str = "", rgb: bool = False) -> np.ndarray:
    """Decode an image.

    The EXIF orientation is applied; grey becomes three equal channels, alpha is dropped, 16 bits become 8 by
    dropping the lower half.

    Returns:
        ``[H, W, 3]`` uint8, BGR or, with ``rgb``, RGB.

    Raises:
        DataError: missing, empty, cut off, larger than 2**28 pixels, or no image at all.
    """
    file = open_image_file(path, origin)
    pixels = decode_png(file)
    if pixels is None:
        bgr = _decode(file, cv2.IMREAD_COLOR)
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB) if rgb else bgr
    if pixels.ndim == 2:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    return pixels if rgb else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)


def read_label(path: str, origin: str = "") -> np.ndarray:
    """Decode a label map: class ids, the indices of a palette image included. EXIF orientation is applied.

    Returns:
        ``[H, W]`` uint8, the values as stored (a 1-bit image gives 0 and 1).

    Raises:
        DataError: as :func:`read_image`, or the file has several channels or more than 8 bits.
    """
    file = open_image_file(path, origin)
    if file.png_type == PLAIN_GREY:
        pixels = decode_png(file)
        return _decode(file, cv2.IMREAD_GRAYSCALE) if pixels is None else pixels
    label = _decode_with_pillow(file)
    if file.png_type is not None and file.png_type[1] == _PNG_GREY and file.png_type[0] in (2, 4):
        label //= 255 // (2 ** file.png_type[0] - 1)  # decoders stretch these to 0..255
    return label


def read_sample(record: Record, label_map: Sequence[int] | None = None) -> Sample:
    """Decode a record's image and label (None where it has none); DataError also where their sizes differ.

    Args:
        record: the two files.
        label_map: the data set's, see :class:`shared.datasets.base.SegmentationDataset`.
    """
    image = read_image(record.image, record.origin, rgb=True)
    label = None if record.label is None else read_label(record.label, record.origin)
    if label is not None and label.shape != image.shape[:2]:
        raise _size_error(record, image.shape[:2], label.shape)
    if label is not None and label_map is not None:
        label = _map_label(label, label_map, str(record.label))
    return Sample(image=image, label=label, path=record.image, rgb=True)


def _map_label(label: np.ndarray, label_map: Sequence[int], path: str) -> np.ndarray:
    """The class ids ``[H, W]`` uint8 of the stored values; DataError where a value has none."""
    bad = label >= len(label_map)
    if bad.any():
        raise DataError(
            f"{path}: label {_values_and_shares(label, bad)}, expected 0 to {len(label_map) - 1}, as this data set "
            "publishes them; use its original label files, or type: Dataset for labels of your own",
            "values",
        )
    return np.asarray(label_map, np.uint8)[label]


def _decode(file: ImageFile, flags: int) -> np.ndarray:
    try:
        array = cv2.imdecode(np.frombuffer(file.data, np.uint8), flags)
    except cv2.error as error:
        raise DataError(f"{file.path}: cannot be decoded: {error}", "unreadable") from error
    if array is None:
        story = f"is a damaged {file.format} file" if file.format else "is not an image this installation can read"
        raise DataError(f"{file.path}: {story}; copy it again, or save it as PNG or JPEG", "unreadable")
    return array


def _decode_with_pillow(file: ImageFile) -> np.ndarray:
    """Labels that OpenCV would turn into colours (palettes) or scale (1 bit)."""
    try:
        with open_with_pillow(file.data) as image:
            _check_mode(file, image)
            upright = ImageOps.exif_transpose(image)
            return np.array(upright, dtype=np.uint8)
    except Image.DecompressionBombError as error:
        raise DataError(f"{file.path}: too large: {error}; cut the image into tiles", "large") from error
    except UnidentifiedImageError:
        raise DataError(f"{file.path}: is not an image; {_SAVE_IDS}", "unreadable") from None
    except (OSError, SyntaxError, ValueError) as error:
        story = f"{file.path}: is a damaged {file.format} file: {error}; copy it again"
        raise DataError(story, "unreadable") from error


def _check_mode(file: ImageFile, image: Image.Image) -> None:
    """DataError unless the pixels are 8-bit class ids."""
    if file.png_type is not None and file.png_type[0] == 16:
        raise _wide_error(file, image)
    if image.mode in ("1", "L", "P"):
        return
    if image.mode in ("LA", "PA"):
        raise DataError(f"{file.path}: the label has an alpha channel; {_SAVE_IDS}", "channels")
    if image.mode.startswith("I") or image.mode == "F":
        raise _wide_error(file, image)
    channels = np.asarray(image.convert("RGB"))
    kind = f"the label has {len(image.getbands())} channels ({image.mode}), expected one"
    if image.mode in ("RGB", "RGBA") and (channels == channels[..., :1]).all():
        raise DataError(
            f"{file.path}: {kind}; its colour channels are equal, so any one of them is the map of class ids: "
            "keep one, e.g. cv2.imwrite(path, cv2.imread(path)[..., 0])",
            "channels",
        )
    colours = len(np.unique(channels.reshape(-1, 3)[:: max(1, channels[..., 0].size // 65536)], axis=0))
    raise DataError(
        f"{file.path}: {kind}; it is colour-coded ({colours} or more colours): replace every colour by its class id "
        f"and {_SAVE_IDS}",
        "colours",
    )


def _wide_error(file: ImageFile, image: Image.Image) -> DataError:
    low, high = (int(value) for value in (np.min(image), np.max(image)))
    cure = "convert them to class ids (values this large are often instance ids)" if high > 255 else "they fit in 8"
    return DataError(
        f"{file.path}: the label has more than 8 bits a pixel, with values {low} to {high}: {cure}; {_SAVE_IDS}",
        "wide",
    )


def _size_error(record: Record, image_hw: tuple[int, ...], label_hw: tuple[int, ...]) -> DataError:
    sizes = (
        f"{record.image}: the image is height {image_hw[0]} x width {image_hw[1]}, its label {record.label} is height "
        f"{label_hw[0]} x width {label_hw[1]}"
    )
    if label_hw != image_hw[::-1]:
        question = "is it the label of another image, or was one of them resized?"
        return DataError(f"{sizes}; they must be equal: {question}", "size")
    orientation = exif_orientation(open_image_file(record.image))
    if orientation >= 5:
        return DataError(
            f"{sizes}: height and width are swapped. The image carries EXIF orientation {orientation}, which turns it "
            "on reading; turn the label too, or save the image without the orientation",
            "exif",
        )
    return DataError(
        f"{sizes}: height and width are swapped; transpose or turn the label to match the image", "swapped"
    )


def check_label(label: np.ndarray, num_classes: int, ignore_index: int, path: str) -> None:
    """DataError unless every value is in ``0..num_classes-1`` or ``ignore_index``.

    Args:
        label: ``[H, W]`` uint8.
        num_classes: the number of classes.
        ignore_index: the value that marks pixels without a class.
        path: the label's file, for the message, which gives the values, their share and the likely story.
    """
    if num_classes > 255:
        return
    bad = (label >= num_classes) & (label != ignore_index)
    if not bad.any():
        return
    counts = np.bincount(label.ravel(), minlength=256)
    values = np.flatnonzero(np.bincount(label[bad], minlength=256))
    cause, story = _story(counts, values, num_classes, ignore_index, path)
    raise DataError(
        f"{path}: label {_values_and_shares(label, bad)}, expected 0 to {num_classes - 1} or "
        f"ignore_index {ignore_index}. {story}",
        cause,
    )


def _values_and_shares(label: np.ndarray, bad: np.ndarray) -> str:
    """``value 19 (2.5 % of the pixels)``: the five most frequent values where ``bad`` is true."""
    counts = np.bincount(label[bad], minlength=256)
    by_count = sorted((int(value) for value in np.flatnonzero(counts)), key=lambda value: -counts[value])
    shares = ", ".join(f"{value} ({100 * counts[value] / label.size:.3g} % of the pixels)" for value in by_count[:5])
    more = f" and {len(by_count) - 5} more" if len(by_count) > 5 else ""
    return f"value{'s' if len(by_count) > 1 else ''} {shares}{more}"


def _story(counts: np.ndarray, bad: np.ndarray, num_classes: int, ignore_index: int, path: str) -> tuple[str, str]:
    """The cause's key, and what most likely happened with the cure."""
    present = [int(value) for value in np.flatnonzero(counts) if value != ignore_index]
    top = int(bad.max())
    if path.endswith("_labelIds.png"):
        return "raw ids", "These are Cityscapes' raw ids: use the *_labelTrainIds.png files"
    if num_classes == 171 and top <= 181:
        return "raw ids", "These look like COCO-Stuff's raw ids (0 to 181): run scripts/data/coco_stuff.py on them"
    if set(present) <= {0, top} and (top == 255 or (num_classes == 2 and top > 2)):
        return "mask", f"It looks like a mask of 0 and {top}: replace {top} by 1, e.g. label = (label > 0)"
    dense = len(present) == top + 1 and top < 200  # every id from 0 up is used
    if len(bad) > 8 and not dense:
        return "interpolated", (
            "So many values between the classes come from interpolation or JPEG: make the labels again, resized with "
            "nearest neighbour and saved as PNG"
        )
    if list(bad) == [num_classes] and counts[0] == 0:
        return "one-based", "The ids seem to count from 1: subtract 1 from every class id"
    return "values", f"Is num_classes too small (the labels need {top + 1}), or should value {top} be the ignore_index?"
