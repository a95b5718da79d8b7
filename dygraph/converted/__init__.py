"""``--backend``: the network of either mode exported, converted to ONNX and run by another library on the CPU.

``predictor``        stands in for a mode's own, and proves what it runs
``engines``          the libraries, and what they need
``onnx_operators``   the network traced with operators that can be converted
``onnx_file``        the conversion, in a process of its own (``onnx_process``)
``openvino_runner``  a file compiled by OpenVINO, after ``winograd`` (by ``tiles``) and ``last_resizing`` rewrote it
"""

from dygraph.converted.engines import ENGINES, Engine, require
from dygraph.converted.predictor import ConvertedPredictor, convertible, with_backend

__all__ = ["ENGINES", "ConvertedPredictor", "Engine", "convertible", "require", "with_backend"]
