"""Write docs/models.md: what every network of the recipes costs, in both modes.

python scripts/model_table.py                          # all, 512x256, to docs/models.md
python scripts/model_table.py --size 1024x512 --out - FCN OCRNet

Parameters and multiply-adds are counted; time and memory are measured, each network and mode in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from shared import runtime  # noqa: E402

runtime.prepare()  # before Paddle is imported

from scripts.machine import processor  # noqa: E402
from scripts.multiply_adds import multiply_adds  # noqa: E402
from shared.config.run_config import Component  # noqa: E402

MODES = ("eager", "static")
WARM_UP, REPEATS = 1, 3


def recipes(wanted: Sequence[str]) -> dict[str, Component]:
    """``model:`` block by the config's name, of every Cityscapes recipe but ResNet101's, and of the portrait one."""
    import dygraph.build  # noqa: F401 - fills the registries the configs are checked against
    from shared.config.eager import load_run_config

    found: dict[str, Component] = {}
    for path in sorted((ROOT / "configs").rglob("*.yml")):
        is_recipe = path.parent.name != "_base_" and ("cityscapes_" in path.stem or "portrait" in path.stem)
        if not is_recipe or "resnet101" in path.stem:
            continue
        model = _without_pretrained(load_run_config(str(path)).model)
        if model not in found.values() and (not wanted or model.type in wanted):
            found[path.stem] = model
    missing = sorted(set(wanted) - {model.type for model in found.values()})
    if missing:
        sys.exit(f"error: no recipe builds {', '.join(missing)}; the names are those of `type:` in configs/")
    return found


def _without_pretrained(model: Component) -> Component:
    backbone = model.args.get("backbone")
    args = {**model.args, **({} if backbone is None else {"backbone": backbone.without("pretrained")})}
    return Component(model.type, args).without("pretrained")


def count(model: Component, size_hw: tuple[int, int]) -> dict[str, int]:
    """Parameters, and multiply-adds of one image's main logits."""
    import paddle

    from dygraph.build import build_model
    from dygraph.engine.static_mode import building

    with building() as (main, _):
        network = build_model(model)
        network.eval()
        image = paddle.static.data("image", [1, 3, *size_hw], "float32")
        logits = network(image)[0]
        parameters = sum(math.prod(p.shape) for p in network.parameters())
        return {"parameters": parameters, "multiply_adds": multiply_adds(main, logits)}


def measure(model: Component, mode: str, size_hw: tuple[int, int]) -> dict[str, float]:
    """Median seconds of a forward pass to the main logits, and this process's peak memory in MiB."""
    forward = (_eager_forward if mode == "eager" else _static_forward)(model, size_hw)
    seconds = []
    for _ in range(WARM_UP + REPEATS):
        start = time.perf_counter()
        forward()
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return {"seconds": statistics.median(seconds[WARM_UP:]), "peak_mib": peak}


def _eager_forward(model: Component, size_hw: tuple[int, int]) -> Callable[[], Any]:
    import paddle

    from dygraph.build import build_model

    network = build_model(model)
    network.eval()
    image = paddle.zeros([1, 3, *size_hw])

    def forward() -> Any:
        with paddle.no_grad():
            return network(image)[0].numpy()

    return forward


def _static_forward(model: Component, size_hw: tuple[int, int]) -> Callable[[], Any]:
    import numpy as np
    import paddle

    from dygraph.build import build_model
    from legacy.pdseg.session import weights_of
    from legacy.pdseg.stepper import StaticPredictor

    predictor = StaticPredictor(lambda: build_model(model), weights_of(build_model(model)), paddle.CPUPlace())
    image = np.zeros((1, 3, *size_hw), np.float32)
    return lambda: predictor.logits(image)


def measured_apart(name: str, mode: str, size: str) -> dict[str, float]:
    """:func:`measure` in a new process."""
    command = [sys.executable, __file__, "--size", size, "--measure", name, mode]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"error: measuring {name} ({mode}) failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def document(rows: Sequence[dict[str, Any]], size: str) -> str:
    """The Markdown page."""
    import paddle

    head = [
        "# Networks, and what they cost",
        "",
        f"Written by `python scripts/model_table.py --size {size}` with Paddle {paddle.__version__} and Python "
        f"{platform.python_version()} on {os.cpu_count()} cores of {processor()}.",
        "",
        f"Every row is a recipe of `configs/`, one image of {size} (width x height) in evaluation mode, float32, NCHW. "
        "Parameters and multiply-adds are exact counts; a multiply-add is one of a convolution or a matrix product, "
        f"whatever feeds the main logits. Times are medians of {REPEATS} passes, memory is the peak of the whole "
        "process, Paddle included (an empty process with Paddle takes about 200 MiB): both are for orientation.",
        "",
        "| recipe | network | parameters (M) | multiply-adds (G) | eager: s | eager: MiB | static: s | static: MiB |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    return "\n".join([*head, *(_row(row) for row in rows), ""])


def _row(row: dict[str, Any]) -> str:
    costs = " | ".join(f"{row[mode]['seconds']:.2f} | {row[mode]['peak_mib']:.0f}" for mode in MODES)
    counts = f"{row['parameters'] / 1e6:.2f} | {row['multiply_adds'] / 1e9:.2f}"
    return f"| `{row['name']}` | {row['network']} | {counts} | {costs} |"


def _network(model: Component) -> str:
    backbone = model.args.get("backbone")
    return model.type if backbone is None else f"{model.type}, {backbone.type}"


def parse_size(text: str) -> tuple[int, int]:
    """``"512x256"`` (width x height) to (256, 512)."""
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        width = height = 0
    if min(width, height) < 32:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected WIDTHxHEIGHT of at least 32x32, such as 512x256")
    return height, width


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write a table of every network's size, work, time and memory.")
    parser.add_argument("networks", nargs="*", metavar="TYPE", help="only these (default: all)")
    parser.add_argument("--size", default="512x256", metavar="WxH", help="size of the image (default: %(default)s)")
    parser.add_argument("--out", default=str(ROOT / "docs" / "models.md"), help="file to write, - for the terminal")
    parser.add_argument("--measure", nargs=2, metavar=("RECIPE", "MODE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    try:
        size_hw = parse_size(arguments.size)
    except argparse.ArgumentTypeError as error:
        parser.error(f"--size: {error}")
    if arguments.measure:
        name, mode = arguments.measure
        print(json.dumps(measure(recipes(())[name], mode, size_hw)))
        return
    rows = []
    for name, model in recipes(arguments.networks).items():
        row = {"name": name, "network": _network(model), **count(model, size_hw)}
        rows.append({**row, **{mode: measured_apart(name, mode, arguments.size) for mode in MODES}})
        print(_row(rows[-1]), file=sys.stderr, flush=True)
    page = document(rows, arguments.size)
    if arguments.out == "-":
        print(page)
    else:
        Path(arguments.out).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
