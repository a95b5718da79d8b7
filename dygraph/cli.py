"""The eager commands. Paddle is imported inside them, after the processor settings were made."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from dygraph.arguments import inference_parser, load_config, train_parser, use_gpu
from dygraph.paddle_check import require_paddle
from shared.commands.run import print_config_if
from shared.config.run_config import RunConfig
from shared.engine.stepper import Predictor


def train(argv: Sequence[str]) -> None:
    """``dygraph/train.py``."""
    arguments = train_parser().parse_args(argv)
    require_paddle()
    from dygraph.engine.session import training_mode
    from shared.engine.train import train as run_training

    run = load_config(arguments)
    if not print_config_if(arguments.print_config, run):
        run_training(run, training_mode(run, use_gpu(arguments)))


def _predictor(run: RunConfig, arguments: argparse.Namespace) -> Predictor:
    from dygraph.converted import convertible, with_backend
    from dygraph.engine.export import export_eager
    from dygraph.engine.session import make_predictor

    own = make_predictor(convertible(run, arguments.backend), arguments.model_path, use_gpu(arguments))
    return with_backend(arguments.backend, use_gpu(arguments), own, lambda spec: export_eager(own.network, spec))


def val(argv: Sequence[str]) -> None:
    """``dygraph/val.py``."""
    parser = inference_parser("Evaluate weights over the validation set.")
    parser.add_argument(
        "--save_dir", default="output/val", metavar="DIR", help="metrics.json and confusion.png go here"
    )
    arguments = parser.parse_args(argv)
    require_paddle()
    from shared.commands.validate import validate

    run = load_config(arguments)
    if not print_config_if(arguments.print_config, run):
        weights = arguments.model_path
        validate(run, lambda: _predictor(run, arguments), weights, Path(arguments.save_dir))


def predict(argv: Sequence[str]) -> None:
    """``dygraph/predict.py``."""
    parser = inference_parser("Predict images: class ids, overlays, probabilities.")
    parser.add_argument("--image_path", required=True, metavar="PATH", help="an image, a directory or a list file")
    parser.add_argument("--save_dir", default="output/result", metavar="DIR", help="where the pictures go")
    parser.add_argument("--custom_color", nargs="+", type=int, default=None, metavar="N", help="R G B of every class")
    parser.add_argument("--save_probabilities", action="store_true", default=False, help="also write .npz files")
    arguments = parser.parse_args(argv)
    require_paddle()
    from shared.commands.predict import predict_command

    run = load_config(arguments)
    if not print_config_if(arguments.print_config, run):
        predict_command(
            run,
            lambda: _predictor(run, arguments),
            arguments.image_path,
            Path(arguments.save_dir),
            arguments.custom_color,
            arguments.save_probabilities,
        )


def export(argv: Sequence[str]) -> None:
    """``dygraph/export.py``."""
    from dygraph.arguments import add_export_flags, common_parser

    parser = common_parser("Export a network for Paddle Inference, with its pre- and post-processing.")
    parser.add_argument("--model_path", required=True, metavar="PATH", help="checkpoint directory or weights file")
    parser.add_argument("--save_dir", default="output/inference_model", metavar="DIR", help="where the files go")
    add_export_flags(parser)
    arguments = parser.parse_args(argv)
    require_paddle()
    from dygraph.engine.export import ExportSpec, export_command, export_eager
    from dygraph.engine.session import make_predictor

    run = load_config(arguments)
    if print_config_if(arguments.print_config, run):
        return
    spec = ExportSpec(Path(arguments.save_dir), arguments.output_op, tuple(arguments.input_shape))
    predictor = make_predictor(run, arguments.model_path, use_gpu(arguments))
    export_command(run, spec, predictor, lambda: export_eager(predictor.network, spec))
