"""Train a network in static mode: python pdseg/train.py --cfg FILE [KEY VALUE ...]"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])  # the checkout, not this folder
    from legacy.pdseg.cli import train
    from shared.commands.run import run_command

    run_command(train)
