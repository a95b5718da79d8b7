"""Images to class ids, one by one: every way this toolkit predicts, against PaddleSeg's predict and mmsegmentation.

python scripts/bench/infer.py
python scripts/bench/infer.py --shape 1 3 512 1024 --networks FCN-HRNet-W18
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts.bench import report
from scripts.bench.contest import Contender, hold, ratio

NETWORKS = ("FCN-HRNet-W18", "DeepLabV3P-ResNet50")
WAYS = {
    "eager": "eager",
    "static": "static",
    "Paddle Inference": "exported",
    "ONNX Runtime": "onnxruntime",
    "OpenVINO": "openvino",
    "OpenVINO, bfloat16": "openvino-bf16",
}
PEER, TORCH = "PaddleSeg predict", "mmsegmentation NCHW"


def main() -> None:
    """Measure and report."""
    parser = report.parser("Prediction against PaddleSeg and mmsegmentation.", rounds=9)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS, help="(both)")
    parser.add_argument("--shape", type=int, nargs=4, default=[1, 3, 256, 512], metavar="N", help="(1 3 256 512)")
    parser.add_argument("--images", type=report.positive, default=5, metavar="N", help="in a row (%(default)s)")
    arguments = parser.parse_args()
    ways, left_out = _ways()
    rows, numbers = [], {}
    for network in arguments.networks:
        work = {"network": network, "shape": arguments.shape, "in_a_row": arguments.images}
        records = hold(
            [
                Contender(PEER, "paddleseg", "predict", work),
                Contender("PaddleSeg predict, Paddle 3.3.1", "paddleseg-3.3.1", "predict", work),
                *(Contender(way, "ours", "predict", {**work, "mode": mode}) for way, mode in ways.items()),
                Contender(TORCH, "mmseg", "predict", {**work, "channels_last": False}),
                Contender("mmsegmentation channels_last", "mmseg", "predict", {**work, "channels_last": True}),
            ],
            arguments.rounds,
        )
        for name, record in records.items():
            against = [ratio(records[peer].values(), record.values()) for peer in (PEER, TORCH)]
            rows.append([network, name, f"{1000 * record.median():.0f}", *map(str, against)])
            numbers[f"{network}, {name}"] = {
                "seconds": record.values(),
                "ratios": {peer: quotient.as_json() for peer, quotient in zip((PEER, TORCH), against)},
                "peak_mib": record.rounds[-1]["peak_mib"],
            }
    head = ("network", "way", "ms an image", f"times {PEER}", f"times {TORCH}")
    numbers |= {"shape": arguments.shape, "images": arguments.images, "left_out": left_out}
    sides = ("ours", "paddleseg", "paddleseg-3.3.1", "mmseg")
    report.finish("infer", arguments.json, sides, numbers, report.table(head, rows))


def _ways() -> tuple[dict[str, str], dict[str, str]]:
    """The ways this machine can go, and why it cannot go the others, which is said as well."""
    refusals = hold([Contender("this machine", "ours", "refusals")], 1)["this machine"].rounds[0]["refusals"]
    left_out = {way: refusals[mode] for way, mode in WAYS.items() if mode in refusals}
    for way, reason in left_out.items():
        print(f"left out: {way}: {reason}", file=sys.stderr)
    return {way: mode for way, mode in WAYS.items() if way not in left_out}, left_out


if __name__ == "__main__":
    main()
