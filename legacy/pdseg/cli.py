"""The static commands. Paddle is imported inside them, after the processor settings were made."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dygraph.arguments import add_backend_flag
from dygraph.paddle_check import require_paddle
from legacy.pdseg.config import load_static_config
from shared.commands.check import add_json_flag
from shared.commands.run import print_config_if
from shared.config.run_config import RunConfig
from shared.engine.stepper import Predictor
from shared.errors import ConfigError


def _parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--cfg", required=True, metavar="FILE", help="a static recipe, or any file of configs/")
    parser.add_argument("--use_gpu", action="store_true", help="run on a GPU; an error where there is none")
    parser.add_argument("--use_mpio", action="store_true", help="read with worker processes and shared memory")
    parser.add_argument("--print_config", action="store_true", help="print every value and its origin, then leave")
    parser.add_argument("opts", nargs=argparse.REMAINDER, metavar="KEY VALUE", help="replace config values")
    return parser


def _inference_parser(description: str) -> argparse.ArgumentParser:
    parser = _parser(description)
    parser.add_argument("--model_path", default=None, metavar="PATH", help="weights; default: TEST.TEST_MODEL")
    return parser


def _load(
    arguments: argparse.Namespace, lists: Sequence[str] = ("train", "val"), flags: dict[str, Any] | None = None
) -> RunConfig:
    import dygraph.build  # noqa: F401 - fills the registries the config is checked against

    return load_static_config(
        arguments.cfg, arguments.opts, use_mpio=arguments.use_mpio, flags=flags, check_lists=lists
    )


def _weights(arguments: argparse.Namespace, run: RunConfig) -> str:
    weights = arguments.model_path or run.files.test_weights
    if not weights:
        raise ConfigError("no weights are named: give --model_path PATH, or TEST.TEST_MODEL PATH", arguments.cfg)
    return weights


def _predictor(run: RunConfig, weights: str, arguments: argparse.Namespace) -> Predictor:
    from dygraph.converted import convertible, with_backend
    from legacy.pdseg.export import export_static
    from legacy.pdseg.session import make_predictor

    own = make_predictor(convertible(run, arguments.backend), weights, arguments.use_gpu)
    return with_backend(arguments.backend, arguments.use_gpu, own, lambda spec: export_static(own, spec))


def train(argv: Sequence[str]) -> None:
    """``pdseg/train.py``."""
    parser = _parser("Train a network in static mode.")
    parser.add_argument("--log_steps", type=int, default=None, metavar="N", help="iterations between log lines (10)")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint that is whole")
    parser.add_argument("--debug", action="store_true", help="log debug lines too, with the files of every batch")
    parser.add_argument("--do_eval", action="store_true", help="evaluate at each checkpoint and keep the best")
    parser.add_argument("--use_vdl", action="store_true", help="also write VisualDL scalars")
    parser.add_argument("--vdl_log_dir", default=None, metavar="DIR", help="where they go (<save_dir>/vdl_log)")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="seed of weights, order and augmentation")
    parser.add_argument("--deterministic", action="store_true", help="with one seed, equal bits on a CPU")
    arguments = parser.parse_args(argv)
    named = [word for word in arguments.opts if word.partition("=")[0] in ("resume_model", "TRAIN.RESUME_MODEL_DIR")]
    if arguments.resume and named:
        parser.error(f"argument --resume: not allowed with {named[0]}; give one of them")
    if arguments.debug:
        logging.getLogger().setLevel(logging.DEBUG)
    require_paddle()
    from legacy.pdseg.session import training_mode
    from shared.engine.train import train as run_training

    given = {
        "log_iters": arguments.log_steps,
        "do_eval": arguments.do_eval or None,
        "use_vdl": arguments.use_vdl or None,
        "vdl_log_dir": arguments.vdl_log_dir,
        "seed": arguments.seed,
        "deterministic": arguments.deterministic or None,
        "resume_model": "auto" if arguments.resume else None,
    }
    run = _load(arguments, flags={key: value for key, value in given.items() if value is not None})
    if not print_config_if(arguments.print_config, run):
        run_training(run, training_mode(run, arguments.use_gpu))


def evaluate(argv: Sequence[str]) -> None:
    """``pdseg/eval.py``."""
    parser = _inference_parser("Evaluate weights over the validation set in static mode.")
    add_backend_flag(parser)
    parser.add_argument(
        "--save_dir", default="output/eval", metavar="DIR", help="metrics.json and confusion.png go here"
    )
    arguments = parser.parse_args(argv)
    require_paddle()
    from shared.commands.validate import validate

    run = _load(arguments, ("val",))
    if not print_config_if(arguments.print_config, run):
        weights = _weights(arguments, run)
        validate(run, lambda: _predictor(run, weights, arguments), weights, Path(arguments.save_dir))


def visualize(argv: Sequence[str]) -> None:
    """``pdseg/vis.py``."""
    parser = _inference_parser("Predict images in static mode: class ids, overlays, probabilities.")
    add_backend_flag(parser)
    parser.add_argument(
        "--image_path", default=None, metavar="PATH", help="image, directory or list; default: vis list"
    )
    parser.add_argument("--vis_dir", default="visual", metavar="DIR", help="where the pictures go")
    parser.add_argument("--custom_color", nargs="+", type=int, default=None, metavar="N", help="R G B of every class")
    parser.add_argument("--save_probabilities", action="store_true", help="also write .npz files")
    arguments = parser.parse_args(argv)
    require_paddle()
    from shared.commands.predict import predict_command

    run = _load(arguments, () if arguments.image_path else ("vis",))
    if not print_config_if(arguments.print_config, run):
        weights = _weights(arguments, run)
        predict_command(
            run,
            lambda: _predictor(run, weights, arguments),
            arguments.image_path,
            Path(arguments.vis_dir),
            arguments.custom_color,
            arguments.save_probabilities,
        )


def export_model(argv: Sequence[str]) -> None:
    """``pdseg/export_model.py``."""
    from dygraph.arguments import add_export_flags

    parser = _inference_parser("Export a network in static mode, with its pre- and post-processing.")
    parser.add_argument("--save_dir", default=None, metavar="DIR", help="default: FREEZE.SAVE_DIR")
    add_export_flags(parser)
    arguments = parser.parse_args(argv)
    require_paddle()
    from dygraph.engine.export import ExportSpec, export_command
    from legacy.pdseg.export import export_static
    from legacy.pdseg.session import make_predictor

    run = _load(arguments, ())
    if print_config_if(arguments.print_config, run):
        return
    spec = ExportSpec(
        Path(arguments.save_dir or run.files.export_dir),
        arguments.output_op,
        tuple(arguments.input_shape),
        run.files.export_model,
        run.files.export_params,
    )
    predictor = make_predictor(run, _weights(arguments, run), arguments.use_gpu)
    export_command(run, spec, predictor, lambda: export_static(predictor, spec))


def check(argv: Sequence[str]) -> None:
    """``pdseg/check.py``."""
    parser = _parser("Check the config and every file of the data set.")
    add_json_flag(parser)
    arguments = parser.parse_args(argv)
    require_paddle()
    from dygraph.engine.dry_forward import head_problems
    from shared.commands.check import check_fully

    run = _load(arguments)
    if not print_config_if(arguments.print_config, run):
        check_fully(run, arguments.json, head_problems)
