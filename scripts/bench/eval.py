"""Evaluation: the confusion matrix against mmsegmentation's metric, and a whole evaluation split into its parts.

python scripts/bench/eval.py
python scripts/bench/eval.py --data ../shared/data/cityscapes_demo --frames 50 --network BiSeNetV2
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts.bench import frames, report
from scripts.bench.contest import Contender, hold, ratio

KINDS = {"from ids": False, "from logits": True}


def main() -> None:
    """Measure and report."""
    parser = report.parser("The metric against mmsegmentation's, and a whole evaluation.", rounds=9)
    parser.add_argument("--size", type=int, nargs=2, default=[1024, 2048], metavar=("H", "W"), help="(1024 2048)")
    parser.add_argument("--classes", type=int, default=19, metavar="K", help="(%(default)s)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="frames in the Cityscapes layout (drawn ones)")
    parser.add_argument(
        "--frames", type=int, default=50, metavar="N", help="of the evaluation, 0 for none (%(default)s)"
    )
    parser.add_argument("--network", default="FCN-HRNet-W18", help="(%(default)s)")
    parser.add_argument("--mode", choices=("eager", "static"), default="eager", help="(%(default)s)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="that read (%(default)s)")
    arguments = parser.parse_args()
    numbers: dict[str, Any] = {"size_hw": arguments.size, "classes": arguments.classes}
    text = _matrix(arguments.size, arguments.classes, arguments.rounds, numbers)
    if arguments.frames:
        text += "\n\n" + _whole(arguments, numbers)
    report.finish("eval", arguments.json, ("ours", "mmseg"), numbers, text)


def _matrix(size_hw: list[int], classes: int, rounds: int, numbers: dict[str, Any]) -> str:
    rows = []
    for kind, with_argmax in KINDS.items():
        work = {"size_hw": size_hw, "classes": classes, "with_argmax": with_argmax, "repeats": 5}
        records = hold([Contender(side, side, "matrix", work) for side in ("ours", "mmseg")], rounds)
        quotient = ratio(records["mmseg"].values(), records["ours"].values())
        costs = [1000 * records[side].median() / 5 for side in ("ours", "mmseg")]
        rows.append([kind, *(f"{cost:.1f}" for cost in costs), str(quotient)])
        numbers[f"matrix {kind}"] = {"ms": dict(zip(("ours", "mmseg"), costs)), "ratio": quotient.as_json()}
    return report.table(("confusion matrix", "ours, ms", "mmsegmentation, ms", "ratio (quartiles)"), rows)


def _whole(arguments: Any, numbers: dict[str, Any]) -> str:
    work = {
        "network": arguments.network,
        "root": str(frames.root_of_frames(arguments.data)),
        "frames": arguments.frames,
        "workers": arguments.workers,
        "mode": arguments.mode,
    }
    (record,) = hold([Contender("ours", "ours", "evaluation", work)], 1, warm_up=0).values()
    facts = record.rounds[0]
    spent, network = facts["stages"], facts["stages"]["network"]
    rows = [
        [stage, f"{seconds:.2f}", f"{1000 * seconds / facts['images']:.1f}", f"{100 * seconds / network:.1f} %"]
        for stage, seconds in spent.items()
    ]
    memory = facts["memory_mib"]
    tenth = max(1, len(memory) // 10)
    early, late = statistics.median(memory[tenth : 2 * tenth] or memory), statistics.median(memory[-tenth:])
    numbers["evaluation"] = {**facts, "network": arguments.network, "mode": arguments.mode}
    head = (f"{facts['images']} frames, {arguments.network}, {arguments.mode}", "s", "ms a frame", "of the network's")
    return f"{report.table(head, rows)}\n\nmemory: {early:.0f} MiB in the second tenth, {late:.0f} MiB in the last"


if __name__ == "__main__":
    main()
