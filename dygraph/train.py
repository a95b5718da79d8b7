"""Train a network eagerly: python dygraph/train.py --config FILE"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # the checkout, not this folder
    from dygraph.cli import train
    from shared.commands.run import run_command

    run_command(train)
