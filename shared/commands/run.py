"""What every command does around its work: processor settings, console, and errors as one message and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from shared import runtime
from shared.config.printing import format_config
from shared.config.run_config import RunConfig
from shared.engine.ranks import launched_as
from shared.engine.records import setup_console
from shared.errors import RunFailedError, UserError


def run_command(main: Callable[[Sequence[str]], None], arguments: Sequence[str] | None = None) -> NoReturn:
    """Run ``main`` and leave: 0 done, 1 a run that failed, 2 wrong use or bad data, 130 Ctrl-C."""
    setup_console(rank=launched_as()[0])
    runtime.prepare()
    try:
        main(sys.argv[1:] if arguments is None else arguments)
    except (UserError, RunFailedError) as error:
        sys.stdout.flush()
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except MemoryError as error:
        story = " ".join(str(error).split())[-300:]
        cure = "lower the batch size, the crop or the number of workers"
        print(f"error: the memory does not suffice ({story}); {cure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)


def print_config_if(asked: bool, run: RunConfig) -> bool:
    """Print every effective value and its origin if that was asked for; whether it was."""
    if asked:
        print(format_config(run))
    return asked
