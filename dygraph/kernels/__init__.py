"""Operators on a CPU by faster ways than Paddle's own kernels, the same ones for both training modes.

``onednn`` calls the library, ``convolution`` and ``bilinear`` are operators with their gradients, and ``choice`` lets a
network's layers take them. ``legacy/pdseg/kernels.py`` puts the same functions into Programs.
"""
