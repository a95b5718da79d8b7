"""Look at every file of a config's data sets before a long run.

python scripts/check_data.py --config FILE [--json FILE]

All findings come in one report, grouped by cause; exit code 2 where one of them is an error.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dygraph.arguments import common_parser, load_config
from dygraph.paddle_check import require_paddle
from shared.commands.check import add_json_flag, check_fully
from shared.commands.run import print_config_if, run_command


def main(argv: Sequence[str]) -> None:
    """The command."""
    parser = common_parser("Look at every file of a config's data sets.")
    add_json_flag(parser)
    arguments = parser.parse_args(argv)
    require_paddle()
    from dygraph.engine.dry_forward import head_problems  # also fills the registries the config is checked against

    run = load_config(arguments)
    if not print_config_if(arguments.print_config, run):
        check_fully(run, arguments.json, head_problems)


if __name__ == "__main__":
    run_command(main)
