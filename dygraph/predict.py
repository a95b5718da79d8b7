"""Predict images eagerly: python dygraph/predict.py --config FILE --model_path PATH --image_path PATH"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # the checkout, not this folder
    from dygraph.cli import predict
    from shared.commands.run import run_command

    run_command(predict)
