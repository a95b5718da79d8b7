"""Packaging of the toolkit; tools' settings are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "shared" / "__init__.py").read_text(encoding="utf-8")).group(1)

# extras that the tests need as well
PNG = ["imagecodecs>=2023.3.16"]
ONNX = ["paddle2onnx>=2.1", "onnxruntime>=1.15"]
OPENVINO = ["paddle2onnx>=2.1", "openvino>=2025.0"]

setup(
    name="dualseg",
    version=VERSION,
    description="Image segmentation on PaddlePaddle, every network in eager and in static mode, cross-checked",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.9",
    packages=find_packages(include=["dygraph*", "legacy*", "shared*"]),
    install_requires=[
        "numpy>=1.22",
        "opencv-python-headless>=4.8",
        "Pillow>=9",
        "PyYAML>=6",
        "yacs>=0.1.8",
        "safetensors>=0.4",
        "tqdm>=4.60",
        "matplotlib>=3.6",
    ],
    extras_require={
        "cpu": ["paddlepaddle>=3.0,<4", "setuptools"],
        "gpu": ["paddlepaddle-gpu>=3.0,<4", "setuptools"],
        "onnx": ONNX,
        "openvino": OPENVINO,
        "png": PNG,
        "vdl": ["visualdl>=2.5"],
        "dev": [
            "pytest>=7,<9.2",  # with 9.2 pytest-xdist 3.8 no longer keeps an xdist_group on one worker
            "pytest-xdist>=3",
            "ruff>=0.6",
            "scikit-learn>=1.2",
            "hypothesis>=6",
            *PNG,
            *ONNX,
            *OPENVINO,
        ],
    },
)
