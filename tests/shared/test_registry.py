"""Names: what is found, what is offered instead, and what is refused."""

from __future__ import annotations

import pytest

from shared.errors import ConfigError
from shared.registry import Registry, closest


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("chanels", "channels"),
        ("Backbone_Indices", "backbone_indices"),
        ("root", "dataset_root"),
        ("repeat", None),
        ("max_epochs_per_run", None),
    ],
)
def test_value_closest(name, wanted):
    assert closest(name, ["channels", "backbone_indices", "dataset_root", "test_path", "mode"]) == wanted


def test_value_registry():
    shapes = Registry("shape")

    @shapes.register()
    class Square:
        def __init__(self, side: int) -> None:
            self.side = side

    shapes.register("Box")(lambda: None)
    assert shapes["Square"] is Square
    assert list(shapes.parameters("Square")) == ["side"]
    assert sorted(shapes) == ["Box", "Square"]
    with pytest.raises(ConfigError, match="there is no shape 'Sqare'; did you mean 'Square'\\? known: Box, Square"):
        shapes["Sqare"]
    with pytest.raises(ValueError, match="registered twice"):
        shapes.register("Box")(Square)
