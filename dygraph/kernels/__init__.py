"""Operators on a CPU by faster ways than Paddle's own kernels, the same ones for both training modes.

``onednn`` calls the library. ``convolution``, ``bilinear`` and ``cross_entropy`` are operators with their gradients.
``choice`` lets layers and losses take them. Which operators of a Program they stand for, ``legacy/pdseg/kernels.py``
says.
"""
