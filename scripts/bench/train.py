"""A training step against PaddleSeg and mmsegmentation; start-up and memory beside it.

python scripts/bench/train.py
python scripts/bench/train.py --networks FCN-HRNet-W18 --shape 2 3 256 512 --rounds 9
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts.bench import report
from scripts.bench.contest import Contender, Record, hold, ratio

NETWORKS = ("FCN-HRNet-W18", "DeepLabV3P-ResNet50")
PEER, TORCH = "PaddleSeg eager", "mmsegmentation NCHW"


def contenders(network: str, shape: list[int]) -> list[Contender]:
    """Ours in both modes as the commands run them, with ``onednn: false``, without processor settings; the peers."""
    work = {"network": network, "shape": shape}
    return [
        Contender(PEER, "paddleseg", "train", work),
        Contender("eager", "ours", "train", {**work, "mode": "eager"}),
        Contender("static", "ours", "train", {**work, "mode": "static"}),
        Contender("eager, onednn: false", "ours", "train", {**work, "mode": "eager", "onednn": False}),
        Contender("static, onednn: false", "ours", "train", {**work, "mode": "static", "onednn": False}),
        Contender("eager, no settings", "ours", "train", {**work, "mode": "eager", "prepared": False}),
        Contender(TORCH, "mmseg", "train", {**work, "channels_last": False}),
        Contender("mmsegmentation channels_last", "mmseg", "train", {**work, "channels_last": True}),
    ]


def main() -> None:
    """Measure and report."""
    parser = report.parser("A training step against PaddleSeg and mmsegmentation.", rounds=7)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS, help="(both)")
    parser.add_argument("--shape", type=int, nargs=4, default=[2, 3, 256, 512], metavar="N", help="(2 3 256 512)")
    leavable = [one.name for one in contenders("", []) if one.name not in (PEER, TORCH)]
    parser.add_argument("--leave", nargs="+", default=[], choices=leavable, metavar="ROW", help="; ".join(leavable))
    arguments = parser.parse_args()
    rows, numbers = [], {}
    for network in arguments.networks:
        kept = [one for one in contenders(network, arguments.shape) if one.name not in arguments.leave]
        records = hold(kept, arguments.rounds)
        rows += [_row(network, name, records, numbers) for name in records]
    head = ("network", "mode", "s a step", f"times {PEER}", f"times {TORCH}", "start to first step, s", "peak MiB")
    numbers["shape"] = arguments.shape
    report.finish("train", arguments.json, ("ours", "paddleseg", "mmseg"), numbers, report.table(head, rows))


def _row(network: str, name: str, records: dict[str, Record], numbers: dict[str, Any]) -> list[str]:
    record = records[name]
    against = {peer: ratio(records[peer].values(), record.values()) for peer in (PEER, TORCH)}
    numbers[f"{network}, {name}"] = {
        "seconds": record.values(),
        "ratios": {peer: quotient.as_json() for peer, quotient in against.items()},
        "start_seconds": record.ready_seconds + record.first_seconds,
        "peak_mib": record.rounds[-1]["peak_mib"],
    }
    start = record.ready_seconds + record.first_seconds
    quotients = [str(quotient) for quotient in against.values()]
    return [network, name, f"{record.median():.2f}", *quotients, f"{start:.1f}", f"{record.rounds[-1]['peak_mib']:.0f}"]


if __name__ == "__main__":
    main()
