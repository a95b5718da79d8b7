"""Export a network: python dygraph/export.py --config FILE --model_path PATH --save_dir DIR"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # the checkout, not this folder
    from dygraph.cli import export
    from shared.commands.run import run_command

    run_command(export)
