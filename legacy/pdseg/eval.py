"""Evaluate weights in static mode: python pdseg/eval.py --cfg FILE [KEY VALUE ...]"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])  # the checkout, not this folder
    from legacy.pdseg.cli import evaluate
    from shared.commands.run import run_command

    run_command(evaluate)
