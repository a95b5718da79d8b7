"""Files in the forms PaddleSeg 2.x has for its families: both front-ends read the same run, and it can be built."""

from __future__ import annotations

from pathlib import Path

import paddle
import pytest

from dygraph.build import build_losses, build_model
from legacy.pdseg.config import load_static_config
from shared.config.eager import load_run_config
from shared.config.run_config import Component

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "configs" / "paddleseg2x"
FILES = sorted(FIXTURES.glob("*.yml")) + sorted(FIXTURES.glob("families/*.yml"))
#: Maps of logits in training, where the file's losses are meant for them.
MAPS = {
    "edges_of_pairs": 4,
    "edges_mined": 4,
    "voc_two_mixtures": 2,
    "disc_bare": 5,
    "roads_every_augmentation": 7,
    "scenes_bootstrapped": 1,
    "context_corners": 2,
    "stuff_deep_supervision": 4,
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_value_both_front_ends_read_one_run_that_builds(path):
    run = load_run_config(str(path))
    assert load_static_config(str(path)) == run
    with paddle.LazyGuard():  # names and shapes without memory
        network = build_model(_without_pretrained(run.model), data_format=run.data_format)
    assert len(network.state_dict()) > 100
    assert len(build_losses(run.losses, run.ignore_index)) == MAPS.get(path.stem, len(run.losses))


def test_value_what_a_family_says_arrives():
    pairs = load_run_config(str(FIXTURES / "families" / "edges_of_pairs.yml"))
    assert pairs.train_data.edge
    assert not pairs.val_data.edge
    assert [term.coef for term in pairs.losses] == [1, 1, 20, 1]
    voc = load_run_config(str(FIXTURES / "families" / "voc_two_mixtures.yml"))
    assert voc.train_data.dataset.args["mode"] == "trainaug"
    assert (voc.schedule.learning_rate, voc.num_classes) == (0.001, 21)
    disc = load_run_config(str(FIXTURES / "families" / "disc_bare.yml"))
    assert disc.num_classes == disc.model.args["num_classes"] == 2


def _without_pretrained(spec: Component) -> Component:
    """Its URL leads nowhere, and what it would load has tests of its own."""
    arguments = {k: v for k, v in spec.args.items() if k != "pretrained"}
    return Component(spec.type, {k: _without_pretrained(v) if k == "backbone" else v for k, v in arguments.items()})
