"""Data sets. Importing this package fills ``shared.registry.DATASETS``."""

from shared.datasets.cityscapes import Cityscapes
from shared.datasets.dataset import Dataset

__all__ = ["Cityscapes", "Dataset"]
