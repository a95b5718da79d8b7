"""One picture of a data set, its labels and what networks predicted:

    python scripts/demo_panel.py --data DIR --predictions eager=DIR static=DIR --out FILE [--images N]

A prediction directory is what ``dygraph/predict.py`` or ``pdseg/vis.py`` wrote for the validation images.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from shared.datasets.cityscapes import Cityscapes  # noqa: E402
from shared.datasets.reading import read_image, read_label  # noqa: E402
from shared.visualize.panels import side_by_side  # noqa: E402
from shared.visualize.render import colorize, overlay, save_rgb  # noqa: E402

ROW_HEIGHT = 200


def prediction_of(folder: Path, image: str) -> np.ndarray:
    """The ids ``[H, W]`` predicted for one image; the palette PNG's values are the ids."""
    found = sorted((folder / "pseudo_color_prediction").rglob(Path(image).with_suffix(".png").name))
    if not found:
        sys.exit(f"error: {folder} has no prediction for {image}: run the predict command on this data set first")
    return np.array(Image.open(found[0]))


def row(image_path: str, label_path: str, predictions: dict[str, Path], palette: np.ndarray) -> list[np.ndarray]:
    """Image, label and one overlay per prediction, ``[H, W, 3]`` RGB each."""
    image = cv2.cvtColor(read_image(image_path), cv2.COLOR_BGR2RGB)
    label = colorize(read_label(label_path), palette)
    painted = [overlay(image, prediction_of(p, image_path), palette, alpha=0.35) for p in predictions.values()]
    return [image, label, *painted]


def main() -> None:
    """Draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a data set in Cityscapes' layout")
    parser.add_argument("--predictions", nargs="+", required=True, metavar="NAME=DIR", help="what to show beside it")
    parser.add_argument("--out", type=Path, required=True, help="the PNG to write")
    parser.add_argument("--images", type=int, default=5, help="how many images")
    arguments = parser.parse_args()
    predictions = {name: Path(folder) for name, _, folder in (p.partition("=") for p in arguments.predictions)}
    dataset = Cityscapes(str(arguments.data), "val")
    palette = np.array(dataset.palette, np.uint8)
    chosen = np.unique(np.linspace(0, len(dataset) - 1, min(arguments.images, len(dataset))).astype(int))
    records = [dataset.records[index] for index in chosen]
    present = np.unique(np.concatenate([np.unique(read_label(record.label)) for record in records]))
    legend = [(dataset.class_names[c], dataset.palette[c]) for c in present if c < len(palette)]
    titles = ["image", "label", *(f"predicted, {name}" for name in predictions)]
    sheets = []
    for number, record in enumerate(records):
        last = number == len(records) - 1
        panels = row(record.image, record.label, predictions, palette)
        sheets.append(
            side_by_side(panels, titles if number == 0 else [""] * len(titles), legend if last else (), ROW_HEIGHT)
        )
    save_rgb(arguments.out, np.vstack(sheets))
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
