"""Training data against PaddleSeg's: images per second from PNG frames to normalised batches, and where time goes.

python scripts/bench/data.py                       # drawn frames
python scripts/bench/data.py --data ../shared/data/cityscapes_demo --rounds 9
"""

from __future__ import annotations

import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts.bench import frames, peers, report
from scripts.bench.contest import Contender, Record, hold, ratio

BATCHES_A_WORKER = 8  # at least, of a turn: those that workers are in the midst of when it begins then hardly count
ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def main() -> None:
    """Measure and report."""
    parser = report.parser("Training data against PaddleSeg's, from PNG frames to normalised batches.", rounds=7)
    parser.add_argument("--data", type=Path, metavar="DIR", help="frames in the Cityscapes layout (drawn ones)")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2, 4], metavar="N", help="(0 2 4)")
    parser.add_argument("--batch", type=int, default=2, help="images a batch (%(default)s)")
    parser.add_argument("--batches", type=int, default=8, help="batches a turn, 8 a worker at least (%(default)s)")
    parser.add_argument("--crop", type=int, nargs=2, default=[1024, 512], metavar=("W", "H"), help="(1024 512)")
    arguments = parser.parse_args()
    root = frames.root_of_frames(arguments.data)
    steps = frames.training_steps(arguments.crop)
    common = {"root": str(root), "train_list": str(frames.list_file(root)), "steps": steps}
    rows, numbers = [], {}
    for workers in arguments.workers:
        batches = max(arguments.batches, BATCHES_A_WORKER * workers)
        sizes = {**common, "batch": arguments.batch, "batches": batches, "workers": workers}
        rows += _rows(workers, _compared(sizes, arguments.rounds), numbers)
    spent = _stages({**common, "images": arguments.batch * arguments.batches}, arguments.rounds)
    text = "\n\n".join(
        (
            report.table(("pipeline", "workers", "images/s", "times PaddleSeg (quartiles)"), rows),
            report.table(("stage, one core", "ms an image"), spent),
        )
    )
    numbers["stages"] = spent
    report.finish("data", arguments.json, ("ours", "paddleseg"), {"frames": str(root), **numbers}, text)


def _compared(sizes: dict[str, Any], rounds: int) -> dict[str, Record]:
    folder = peers.HOME / "decoded"
    try:
        return hold(
            [
                Contender("PaddleSeg", "paddleseg", "data", sizes, ONE_CORE),
                Contender("no cache", "ours", "data", sizes, ONE_CORE),
                Contender(
                    "cache: disk", "ours", "data", {**sizes, "cache": "disk", "cache_dir": str(folder)}, ONE_CORE
                ),
                Contender("cache: ram", "ours", "data", {**sizes, "cache": "ram"}, ONE_CORE),
            ],
            rounds,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rows(workers: int, records: dict[str, Record], numbers: dict[str, Any]) -> list[list[str]]:
    peer = records["PaddleSeg"]
    rows = []
    for name, record in records.items():
        images = record.rounds[0]["images"]
        quotient = ratio([s / n for s, n in _seconds(peer)], [s / n for s, n in _seconds(record)])
        rows.append([name, str(workers), f"{images / record.median():.1f}", "1" if record is peer else str(quotient)])
        numbers[f"{name}, {workers} workers"] = {
            "images_per_second": [images / seconds for seconds in record.values()],
            "ratio": quotient.as_json(),
        }
    return rows


def _seconds(record: Record) -> list[tuple[float, int]]:
    return [(one["seconds"], one["images"]) for one in record.rounds]


def _stages(arguments: dict[str, Any], rounds: int) -> list[list[str]]:
    peer_sizes = {k: v for k, v in arguments.items() if k != "images"}
    inline = {"batch": 2, "batches": max(1, arguments["images"] // 2), "workers": 0}
    records = hold(
        [
            Contender("ours", "ours", "stages", arguments, ONE_CORE),
            Contender("PaddleSeg", "paddleseg", "data", {**peer_sizes, **inline}, ONE_CORE),
        ],
        rounds,
    )
    rows = []
    for name, record in records.items():
        for stage in record.rounds[0]["stages"]:
            cost = statistics.median(1000 * one["stages"][stage] / one["images"] for one in record.rounds)
            rows.append([f"{name}: {stage}", f"{cost:.2f}"])
    return rows


if __name__ == "__main__":
    main()
