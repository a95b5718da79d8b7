"""From a data set to batches, without Paddle: ``source`` -> ``sampler`` -> ``reader`` (-> ``collate``)."""

from shared.reading.collate import collate
from shared.reading.reader import Reader, open_reader
from shared.reading.sampler import TrainSampler, eval_batches
from shared.reading.source import SampleSource

__all__ = ["Reader", "SampleSource", "TrainSampler", "collate", "eval_batches", "open_reader"]
