"""The demo: draw a street-scene data set, train one network in both modes, and leave pictures to look at.

    python scripts/demo.py [--out demo] [--iters N]

Every step is the command a user would type; it is printed before it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

CONFIG = "configs/quick_start/street_scenes_fcn_hrnetw18_small.yml"
SIZE = "192x96"
TRAIN_IMAGES, VAL_IMAGES = 240, 40
CLASSES = ("road", "sidewalk", "building", "vegetation", "terrain", "sky", "person", "car", "bus")
ITERS = 420


def run(*command: str, folder: Path = ROOT) -> None:
    """Print and run one command with this Python; leave with its exit code if it fails."""
    where = "" if folder == ROOT else f"cd {folder.relative_to(ROOT)} && "
    print(f"\n$ {where}python {shlex.join(command)}", flush=True)
    done = subprocess.run([sys.executable, *command], cwd=folder, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def miou(metrics: Path) -> float:
    """The mIoU of a metrics file."""
    return json.loads(metrics.read_text(encoding="utf-8"))["miou"]


def run_beside(commands: dict[str, tuple[Path, tuple[str, ...]]]) -> None:
    """Run commands side by side, one thread each, their lines marked with their names; leave if one fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "FLAGS_paddle_num_threads": "1"}
    running = {}
    for name, (folder, command) in commands.items():
        where = "" if folder == ROOT else f"cd {folder.relative_to(ROOT)} && "
        print(f"\n$ {where}python {shlex.join(command)} &", flush=True)
        running[name] = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    print(flush=True)
    readers = [threading.Thread(target=relay, args=(name, process)) for name, process in running.items()]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    for process in running.values():
        if process.wait():
            sys.exit(process.returncode)


def relay(name: str, process: subprocess.Popen) -> None:
    """Print what a process prints, each line after its name."""
    for line in process.stdout:
        print(f"[{name:6}] {line}", end="", flush=True)


def train_both(data: Path, out: Path, iters: int) -> None:
    """The same recipe, seed and length in eager and in static mode, at the same time."""
    overrides = (f"train_dataset.dataset_root={data}", f"val_dataset.dataset_root={data}")
    shared_flags = ("--seed", "1", "--deterministic")
    eager = (
        *("dygraph/train.py", "--config", CONFIG, "--iters", str(iters), "--save_interval", str(iters)),
        *("--save_dir", str(out / "eager"), *shared_flags, "--opts", *overrides),
    )
    static = (
        *("pdseg/train.py", "--cfg", f"../{CONFIG}", *shared_flags),
        *(f"iters={iters}", f"save_interval={iters}", f"save_dir={out / 'static'}", *overrides),
    )
    run_beside({"eager": (ROOT, eager), "static": (ROOT / "legacy", static)})


def look_at_both(data: Path, out: Path, iters: int) -> None:
    """Evaluate, predict and export what both runs ended with, each with its own mode's commands."""
    overrides = (f"val_dataset.dataset_root={data}", f"train_dataset.dataset_root={data}")
    images = str(data / "leftImg8bit" / "val")
    eager = ("--config", CONFIG, "--model_path", str(out / "eager" / f"iter_{iters}"))
    static = ("--cfg", f"../{CONFIG}", "--model_path", str(out / "static" / f"iter_{iters}"))
    legacy = ROOT / "legacy"
    run("dygraph/val.py", *eager, "--save_dir", str(out / "eager" / "val"), "--opts", *overrides)
    run("pdseg/eval.py", *static, "--save_dir", str(out / "static" / "val"), *overrides, folder=legacy)
    run(
        *("dygraph/predict.py", *eager, "--image_path", images, "--save_dir", str(out / "eager" / "predictions")),
        *("--opts", *overrides),
    )
    run("pdseg/vis.py", *static, "--vis_dir", str(out / "static" / "predictions"), *overrides, folder=legacy)
    run("dygraph/export.py", *eager, "--save_dir", str(out / "eager" / "export"), "--opts", *overrides)
    run("pdseg/export_model.py", *static, "--save_dir", str(out / "static" / "export"), *overrides, folder=legacy)


def main() -> None:
    """Run every step and say where to look."""
    parser = argparse.ArgumentParser(description="Train a small network in both modes and look at it.")
    parser.add_argument("--out", type=Path, default=ROOT / "demo", help="where everything goes (demo)")
    parser.add_argument("--iters", type=int, default=ITERS, help="training steps of each mode")
    arguments = parser.parse_args()
    started = time.perf_counter()
    out = arguments.out.resolve()
    data = out / "street_scenes"
    run(
        *("scripts/make_street_scenes.py", "--out", str(data), "--size", SIZE, "--seed", "0", "--workers", "2"),
        *("--train", str(TRAIN_IMAGES), "--val", str(VAL_IMAGES), "--force", "--classes", *CLASSES),
    )
    train_both(data, out, arguments.iters)
    look_at_both(data, out, arguments.iters)
    run("scripts/plot_curves.py", str(out / "eager"), str(out / "static"), "--out", str(out / "curves.png"))
    shown = [f"{mode}={out / mode / 'predictions'}" for mode in ("eager", "static")]
    run("scripts/demo_panel.py", "--data", str(data), "--predictions", *shown, "--out", str(out / "predictions.png"))
    eager, static = (miou(out / mode / "val" / "metrics.json") for mode in ("eager", "static"))
    print(
        f"\nmIoU  eager {eager:.4f}  static {static:.4f}   ({time.perf_counter() - started:.0f} s in all)\n"
        f"look at {out / 'predictions.png'} and {out / 'curves.png'};\n"
        f"every overlay is in {out / 'eager' / 'predictions' / 'added_prediction'}"
    )


if __name__ == "__main__":
    main()
