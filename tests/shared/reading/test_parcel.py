"""How arrays travel: equal, aligned, writable, and their file gone."""

from __future__ import annotations

import os

import numpy as np
import pytest

from shared.reading.parcel import Spool


@pytest.fixture
def spool():
    made = Spool()
    yield made
    made.remove()


def test_value_arrays_arrive_equal_aligned_and_writable(spool):
    rng = np.random.default_rng(0)
    sent = [rng.integers(0, 256, 13, np.uint8), rng.random((3, 5)), np.empty((0, 4)), rng.random(7, np.float32)]
    parcel = spool.pack({"arrays": sent, "words": ["a", "b"]})
    found = spool.unpack(parcel)
    assert found["words"] == ["a", "b"]
    assert not os.path.exists(parcel.path)
    for ours, theirs in zip(found["arrays"], sent):
        np.testing.assert_array_equal(ours, theirs)
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        assert ours.ctypes.data % 64 == 0 or ours.size == 0
        ours += 1
        np.testing.assert_array_equal(ours, theirs + 1)


def test_value_nothing_to_carry(spool):
    assert spool.unpack(spool.pack(["words alone"])) == ["words alone"]


def test_error_an_incomplete_file_is_refused(spool):
    parcel = spool.pack(np.arange(10**5))
    os.truncate(parcel.path, 4096)  # reading on behind the end of a mapped file would kill the process
    with pytest.raises(OSError, match="is incomplete"):
        spool.unpack(parcel)
