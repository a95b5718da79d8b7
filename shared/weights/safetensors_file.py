"""Named arrays in a ``.safetensors`` file (https://github.com/huggingface/safetensors): no code, only numbers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from shared.errors import CheckpointError
from shared.weights.atomic import atomic_open

_DTYPES = ("float64", "float32", "float16", *(f"{u}int{n}" for u in ("", "u") for n in (64, 32, 16, 8)), "bool")


def save_arrays(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """Write arrays of any shape (0-d and empty ones too); the file appears whole or not at all.

    Args:
        path: the file; its directory must exist. An existing file is replaced.
        arrays: name -> float16/32/64, integer or bool array, in any memory and byte order.
        metadata: strings kept in the header.

    Raises:
        ValueError: an array of another dtype.
        OSError: the disk is full or the directory cannot be written; nothing is left behind.
    """
    plain = {name: _native(name, array) for name, array in arrays.items()}
    content = safetensors.numpy.save(plain, metadata=dict(metadata) if metadata else None)
    with atomic_open(Path(path)) as file:
        file.write(content)


def load_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read what :func:`save_arrays` wrote: writable, C-contiguous arrays in the native byte order.

    Raises:
        CheckpointError: the file is missing, truncated, not a safetensors file or holds a dtype NumPy lacks.
    """
    if not os.path.isfile(path):
        raise CheckpointError(f"{path} is not a file; give a .safetensors file")
    try:
        arrays = safetensors.numpy.load_file(path)
    except safetensors.SafetensorError as error:
        raise CheckpointError(
            f"{path} is damaged or not a safetensors file ({error}); copy or download it again"
        ) from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    except (TypeError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"{path} holds a tensor type NumPy does not know ({error}); convert it to float32"
        ) from error
    return {name: np.require(array, requirements=["C", "W"]) for name, array in arrays.items()}


def _native(name: str, array: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    if array.dtype.name not in _DTYPES:
        raise ValueError(f"array {name!r} has dtype {array.dtype}; a safetensors file takes {', '.join(_DTYPES)}")
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
