"""Command-line flags of the eager commands, and what they mean for the config."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from shared.config.eager import load_run_config
from shared.config.overrides import COMMAND_LINE
from shared.config.run_config import RunConfig
from shared.errors import ConfigError

# flag -> dotted config key, for flags that only replace a value
CONFIG_KEYS: Mapping[str, str] = {
    "iters": "iters",
    "epochs": "epochs",
    "batch_size": "batch_size",
    "learning_rate": "learning_rate",
    "save_interval": "save_interval",
    "resume_model": "resume_model",
    "save_dir": "save_dir",
    "keep_checkpoint_max": "keep_checkpoint_max",
    "num_workers": "num_workers",
    "do_eval": "do_eval",
    "early_stop_intervals": "early_stop_intervals",
    "log_iters": "log_iters",
    "use_vdl": "use_vdl",
    "data_format": "data_format",
    "seed": "seed",
    "deterministic": "deterministic",
    "precision": "precision",
    "amp_level": "amp_level",
    "aug_eval": "test_config.aug_eval",
    "scales": "test_config.scales",
    "flip_horizontal": "test_config.flip_horizontal",
    "flip_vertical": "test_config.flip_vertical",
    "is_slide": "test_config.is_slide",
    "crop_size": "test_config.crop_size",
    "stride": "test_config.stride",
}

# flag -> the flag (or key of test_config) without which it does nothing
SWITCHED_BY: Mapping[str, str] = {
    "scales": "aug_eval",
    "flip_horizontal": "aug_eval",
    "flip_vertical": "aug_eval",
    "crop_size": "is_slide",
    "stride": "is_slide",
}


def common_parser(description: str) -> argparse.ArgumentParser:
    """Flags every command has."""
    parser = argparse.ArgumentParser(description=description, argument_default=argparse.SUPPRESS)
    parser.add_argument("--config", required=True, metavar="FILE", help="the run's YAML file")
    parser.add_argument(
        "--opts", nargs="+", default=[], metavar="KEY=VALUE", help="replace config values: model.num_classes=5"
    )
    parser.add_argument("--data_format", choices=("NCHW", "NHWC"), help="memory layout inside the network")
    parser.add_argument("--device", choices=("cpu", "gpu"), help="default: a GPU where there is one")
    parser.add_argument("--num_workers", type=int, metavar="N", help="reader processes; 0 reads in the main process")
    parser.add_argument(
        "--print_config", action="store_true", default=False, help="print every value and its origin, then leave"
    )
    return parser


def train_parser() -> argparse.ArgumentParser:
    """Flags of ``train.py``."""
    parser = common_parser("Train a network eagerly.")
    parser.add_argument("--iters", type=int, metavar="N", help="length of the run in iterations")
    parser.add_argument("--epochs", type=int, metavar="N", help="length of the run in epochs")
    parser.add_argument("--batch_size", type=int, metavar="N", help="images per step and card")
    parser.add_argument("--learning_rate", type=float, metavar="LR", help="learning rate the schedule starts from")
    parser.add_argument("--save_interval", type=int, metavar="N", help="iterations between checkpoints (1000)")
    resume = parser.add_mutually_exclusive_group()
    resume.add_argument(
        "--resume",
        action="store_const",
        const="auto",
        dest="resume_model",
        help="go on from the newest checkpoint in the save directory that is whole",
    )
    resume.add_argument("--resume_model", metavar="DIR", help="go on from this checkpoint, or a run's newest one")
    parser.add_argument("--save_dir", metavar="DIR", help="where checkpoints and logs go (output)")
    parser.add_argument("--keep_checkpoint_max", type=int, metavar="N", help="newest checkpoints kept (5); 0 keeps all")
    parser.add_argument("--do_eval", action="store_true", help="evaluate at each checkpoint and keep the best")
    parser.add_argument(
        "--early_stop_intervals", type=int, metavar="N", help="end after N evaluations without a better mIoU"
    )
    parser.add_argument("--log_iters", type=int, metavar="N", help="iterations between log lines (10)")
    parser.add_argument("--use_vdl", action="store_true", help="also write VisualDL scalars")
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument("--fp16", dest="precision", action="store_const", const="fp16", help="mixed float16")
    precision.add_argument(
        "--precision", choices=("fp32", "fp16", "bf16"), help="number type; --fp16 is its short form"
    )
    parser.add_argument("--amp_level", choices=("O1", "O2"), help="how much runs in it: O2 casts parameters too (O1)")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of weights, order and augmentation")
    parser.add_argument("--deterministic", action="store_true", help="with one seed, equal bits on a CPU")
    return parser


def inference_parser(description: str) -> argparse.ArgumentParser:
    """Flags of ``val.py`` and ``predict.py``: how an image becomes a label map."""
    parser = common_parser(description)
    parser.add_argument("--model_path", required=True, metavar="PATH", help="checkpoint directory or weights file")
    add_backend_flag(parser)
    parser.add_argument("--aug_eval", action="store_true", help="apply --scales and flips")
    parser.add_argument("--scales", nargs="+", type=float, metavar="S", help="image scales whose results are summed")
    parser.add_argument("--flip_horizontal", action="store_true", help="add the mirrored image")
    parser.add_argument("--flip_vertical", action="store_true", help="add the image upside down")
    parser.add_argument("--is_slide", action="store_true", help="sliding windows of --crop_size by --stride")
    parser.add_argument("--crop_size", nargs=2, type=int, metavar=("W", "H"), help="window size")
    parser.add_argument("--stride", nargs=2, type=int, metavar=("W", "H"), help="step between windows")
    return parser


def add_backend_flag(parser: argparse.ArgumentParser) -> None:
    """Who runs the network, in both modes' evaluation and prediction."""
    parser.add_argument(
        "--backend",
        choices=("paddle", "onnxruntime", "openvino", "openvino-bf16"),
        default="paddle",
        help="paddle, or on a CPU the faster onnxruntime (extra onnx) or openvino (extra openvino); on a processor "
        "with AMX openvino-bf16 is two or three times as fast again, and one pixel in a hundred may change its class",
    )


def config_overrides(arguments: argparse.Namespace) -> dict[str, Any]:
    """The flags that were given, as dotted config keys."""
    given = vars(arguments)
    return {key: given[flag] for flag, key in CONFIG_KEYS.items() if flag in given}


def use_gpu(arguments: argparse.Namespace) -> bool | None:
    """What ``--device`` says; None where it was not given."""
    device = getattr(arguments, "device", None)
    return None if device is None else device == "gpu"


def load_config(arguments: argparse.Namespace) -> RunConfig:
    """The run that config file, flags and ``--opts`` describe; ConfigError also for a flag that would do nothing."""
    import dygraph.build  # noqa: F401 - fills the registries the config is checked against

    run = load_run_config(arguments.config, config_overrides(arguments), arguments.opts)
    idle = [
        f"--{flag}: has no effect without --{switch}; add --{switch}, or leave --{flag} away"
        for flag, switch in SWITCHED_BY.items()
        if flag in vars(arguments) and not getattr(run.evaluation, switch)
    ]
    if idle:
        raise ConfigError(idle, COMMAND_LINE)
    return run


def add_export_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of both modes' export commands."""
    parser.add_argument(
        "--output_op",
        choices=("argmax", "softmax", "none"),
        default="argmax",
        help="class ids, probabilities or logits (argmax)",
    )
    parser.add_argument(
        "--input_shape",
        nargs=4,
        type=int,
        default=[-1, 3, -1, -1],
        metavar=("N", "C", "H", "W"),
        help="-1 where any size will do (-1 3 -1 -1)",
    )
