"""Training as fleetrun starts it, timed by the run's own record."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from scripts.bench import frames, peers
from shared.runtime import usable_cores

RECIPE = peers.ROOT / "configs" / "fcn" / "fcn_hrnetw18_cityscapes_1024x512_80k.yml"
COMMANDS = {
    "eager": ["dygraph/train.py", "--config"],
    "static": ["legacy/pdseg/train.py", "--cfg"],
}
FIRST = 2  # steps that are still warming up


def threads(ranks: int) -> int:
    """Of each rank, so that all of them together have one for each core."""
    return max(1, usable_cores() // ranks)


def images_per_second(mode: str, ranks: int, root: Path, batch: int, crop_wh: list[int], steps: int) -> float:
    """Of the FCN-HRNet-W18 recipe over all ``ranks``, which share this machine's cores; ``batch`` is of each rank."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "run.yml"
        config.write_text(yaml.safe_dump(_config(root, batch, crop_wh, steps, Path(folder) / "run")), encoding="utf-8")
        launch = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", str(ranks)]
        said = subprocess.run(
            [*launch, "--backend", "gloo", "--log_dir", folder, *COMMANDS[mode], str(config)],
            cwd=peers.ROOT,
            env={**os.environ, "OMP_NUM_THREADS": str(threads(ranks))},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if said.returncode:
            sys.exit(f"error: {ranks} ranks in {mode} mode ended with {said.returncode}:\n{said.stdout[-3000:]}")
        lines = (Path(folder) / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    costs = [found["batch_cost"] for found in map(json.loads, lines) if "batch_cost" in found]
    return batch * ranks / statistics.median(costs[FIRST:])


def _config(root: Path, batch: int, crop_wh: list[int], steps: int, save_dir: Path) -> dict:
    return {
        "_base_": str(RECIPE),
        "iters": steps,
        "batch_size": batch,
        "log_iters": 1,
        "seed": 1,
        "save_dir": str(save_dir),
        "train_dataset": {
            "type": "Dataset",
            "dataset_root": str(root),
            "train_path": str(frames.list_file(root)),
            "num_classes": 19,
            "transforms": frames.training_steps(crop_wh),
        },
    }
