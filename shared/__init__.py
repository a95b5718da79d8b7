"""Everything both modes share and nothing that needs Paddle: NumPy, OpenCV and the standard library only."""

__version__ = "0.1.0"
