"""Climb the parity ladder with your own config and data: is eager mode the same computation as static mode?

    python scripts/parity.py --config FILE [--steps N] [--report out.html] [--opts KEY=VALUE ...]

FILE is any file of configs/ or a static recipe. Sizes are the config's own; --crop_size, --batch_size and --eval_size
make them smaller. An image is evaluated whole, in windows, at several scales and flipped, in both modes: on a CPU a
frame of 2048x1024 takes long. Exit code: 0 equal, 1 different, 2 wrong use or bad data.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dygraph.paddle_check import require_paddle
from shared.commands.run import run_command
from shared.config.run_config import Component, RunConfig
from shared.errors import ConfigError
from shared.weights.atomic import atomic_open, ensure_writable

CROPS = ("RandomPaddingCrop",)


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Compare eager and static mode, rung by rung, on your config and data."
    )
    parser.add_argument("--config", required=True, metavar="FILE", help="a file of configs/, or a static recipe")
    parser.add_argument("--steps", type=_at_least(2), default=20, metavar="N", help="training steps (%(default)s)")
    parser.add_argument("--report", type=Path, metavar="FILE", help="also write this HTML page")
    parser.add_argument("--batch_size", type=_at_least(1), metavar="N", help="images per step (the config's)")
    parser.add_argument(
        "--crop_size", nargs=2, type=_at_least(1), metavar=("W", "H"), help="size of training crops (the config's)"
    )
    parser.add_argument(
        "--eval_images", type=_at_least(1), default=1, metavar="N", help="images evaluated (%(default)s)"
    )
    parser.add_argument(
        "--eval_size", nargs=2, type=_at_least(1), metavar=("W", "H"), help="evaluated images resized to this (as read)"
    )
    parser.add_argument(
        "--seed", type=_at_least(0), default=1, metavar="N", help="of weights, order, transforms, dropout"
    )
    parser.add_argument("--data_format", choices=("NCHW", "NHWC"), help="memory layout inside the network")
    parser.add_argument(
        "--opts", nargs="+", default=[], metavar="KEY=VALUE", help="replace config values: model.num_classes=5"
    )
    return parser.parse_args(argv)


def _at_least(least: int):
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number of {least} or more")
        return number

    return parse


def load_run(arguments: argparse.Namespace) -> RunConfig:
    """The run that file and flags describe."""
    import dygraph.build  # noqa: F401 - fills the registries the config is checked against
    from legacy.pdseg.config import load_static_config

    run = load_static_config(arguments.config, _words(arguments.opts))
    if arguments.data_format:
        run = run.replace(data_format=arguments.data_format)
    if arguments.batch_size:
        run = run.replace(train=dataclasses.replace(run.train, batch_size=arguments.batch_size))
    if arguments.eval_size:
        run = with_eval_size(run, arguments.eval_size)
    return with_crop(run, arguments.crop_size) if arguments.crop_size else run


def _words(opts: Sequence[str]) -> list[str]:
    """Overrides of a static recipe are two words each; those of a file of configs/ may stay one."""
    found = []
    for word in opts:
        key, sign, value = word.partition("=")
        found += [key, value] if sign and key.isupper() else [word]
    return found


def with_crop(run: RunConfig, size_wh: Sequence[int]) -> RunConfig:
    """The run with training crops of another size; ConfigError where it crops nothing."""
    section = run.train_data
    given = () if section is None else section.transforms
    if not any(transform.type in CROPS for transform in given):
        names = ", ".join(transform.type for transform in given) or "none"
        raise ConfigError(
            f"--crop_size: the training transforms ({names}) crop nothing; leave it away, or set their sizes by --opts"
        )
    transforms = tuple(
        Component(one.type, {**one.args, "crop_size": list(size_wh)}) if one.type in CROPS else one for one in given
    )
    return run.replace(train_data=dataclasses.replace(section, transforms=transforms))


def with_eval_size(run: RunConfig, size_wh: Sequence[int]) -> RunConfig:
    """The run with evaluated images resized first; ConfigError where it has none."""
    section = run.val_data
    if section is None:
        raise ConfigError("--eval_size: the config has no validation set; leave it away")
    resize = Component("Resize", {"target_size": list(size_wh)})
    return run.replace(val_data=dataclasses.replace(section, transforms=(resize, *section.transforms)))


def check_report(path: Path) -> None:
    """MachineError now rather than after an hour where the page cannot be written."""
    if path.is_dir():
        raise ConfigError(f"--report: {path} is a directory; name a file in it, such as {path / 'parity.html'}")
    ensure_writable(path.parent)


def main(argv: Sequence[str]) -> None:
    """Climb, print, write; leaves with 1 where the modes differ."""
    arguments = parse_args(argv)
    require_paddle()
    from scripts.ladder.bits import Both
    from scripts.ladder.climb import Ladder
    from scripts.ladder.page import page
    from scripts.ladder.report import Report, environment, heading, line, where_to_look

    run = load_run(arguments)
    if arguments.report is not None:
        check_report(arguments.report)
    ladder = Ladder(Both(run, run), arguments.seed, arguments.steps, arguments.eval_images)
    print(f"{run.model.type}, {arguments.config}: {arguments.steps} steps in both modes\n{heading()}", flush=True)
    rungs = []
    for rung in ladder.climb():
        rungs.append(rung)
        print(line(rung), flush=True)
    told = environment(
        config=arguments.config,
        overrides=" ".join(arguments.opts) or "none",
        network=run.model.type,
        layout=run.data_format,
        batch=list(ladder.shape),
        steps=arguments.steps,
        seed=arguments.seed,
    )
    report = Report(f"{run.model.type}, {Path(arguments.config).name}", rungs, ladder.losses, told)
    print(f"\n{report.verdict()}")
    if report.red is not None:
        print(where_to_look(report.red))
    if arguments.report is not None:
        with atomic_open(arguments.report) as file:
            file.write(page(report).encode("utf-8"))
        print(f"wrote {arguments.report}")
    sys.exit(0 if report.red is None else 1)


if __name__ == "__main__":
    run_command(main)
