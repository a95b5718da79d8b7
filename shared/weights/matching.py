"""Fitting the tensors of a file to the tensors of a network, by name and shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from shared.errors import CheckpointError

_SHOWN = 10


@dataclass(frozen=True)
class Misshapen:
    """One tensor that is in the file and in the network, in two shapes."""

    name: str
    in_file: tuple[int, ...]
    in_network: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} (file {list(self.in_file)}, network {list(self.in_network)})"


@dataclass
class MatchReport:
    """What :func:`match_lenient` found.

    Attributes:
        source: the file.
        expected: how many tensors the network has.
        loaded: the network's name -> array of the file.
        misshapen: in both, in two shapes; not loaded.
        missing: the network's names that the file lacks.
        unused: the file's names that the network lacks.
    """

    source: str
    expected: int
    loaded: dict[str, np.ndarray] = field(default_factory=dict)
    misshapen: list[Misshapen] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    @property
    def class_mismatch(self) -> tuple[int, int] | None:
        """(classes in the file, classes in the network) where that explains every misshapen tensor, else None."""
        return _class_mismatch(self.misshapen, self.expected)

    def summary(self) -> str:
        """Three lines: what was loaded, what was left out because of its shape, what of the file is unused."""
        lacking = f"; not in the file: {_first(self.missing, 3)}" if self.missing else ""
        classes = self.class_mismatch
        cause = f" (num_classes {classes[0]} in the file, {classes[1]} here)" if classes else ""
        return "\n".join(
            [
                f"loaded {len(self.loaded)} of {self.expected} tensors from {self.source}{lacking}",
                f"left out because the shape differs: {_first(self.misshapen, 3)}{cause}",
                f"unused in the file: {_first(self.unused, 3)}",
            ]
        )


def match_strict(
    expected: Mapping[str, Sequence[int]], arrays: Mapping[str, np.ndarray], source: str
) -> dict[str, np.ndarray]:
    """The arrays in the network's order, where names and shapes agree one to one.

    Args:
        expected: the network's name -> shape.
        arrays: the file's name -> array.
        source: the file, for the error.

    Raises:
        CheckpointError: a tensor is missing, misshapen or unexpected; names the first ten of each, with both shapes,
            and the likely cause.
    """
    missing = [name for name in expected if name not in arrays]
    unexpected = [name for name in arrays if name not in expected]
    misshapen = _misshapen(expected, arrays)
    if not (missing or unexpected or misshapen):
        return {name: arrays[name] for name in expected}
    lines = [f"{source} does not fit the network:"]
    for label, names in (
        ("another shape", misshapen),
        ("missing in the file", missing),
        ("unknown to the network", unexpected),
    ):
        if names:
            lines.append(f"  {label}: {_first(names, _SHOWN)}")
    lines.append(f"  {_likely_cause(expected, arrays, missing, misshapen)}")
    raise CheckpointError("\n".join(lines))


def match_lenient(
    expected: Mapping[str, Sequence[int]],
    arrays: Mapping[str, np.ndarray],
    prefixes: Sequence[str] = ("", "backbone."),
    source: str = "the weights file",
) -> MatchReport:
    """Whatever fits by name and shape: pretrained weights of a backbone, of another head, of other classes.

    All names of the file are read as they are, with a prefix added, or with a prefix removed: the one reading under
    which most tensors fit, the earlier one where two fit equally.

    Args:
        expected: the network's name -> shape.
        arrays: the file's name -> array.
        prefixes: the prefixes to try; ``""`` is the names as they are.
        source: the file, for messages.

    Raises:
        CheckpointError: not one tensor fits.
    """
    best: MatchReport | None = None
    for rename in _renamings(prefixes):
        report = _match_renamed(expected, arrays, rename, source)
        if best is None or len(report.loaded) > len(best.loaded):
            best = report
    if best is None or not best.loaded:
        raise CheckpointError(
            f"no tensor of {source} fits the network: the file holds {_first(list(arrays), 3)}, the network "
            f"{_first(list(expected), 3)}; give weights of this network or of its backbone"
        )
    return best


def _renamings(prefixes: Sequence[str]) -> list[Callable[[str], str]]:
    def adding(prefix: str) -> Callable[[str], str]:
        return lambda name: prefix + name

    def removing(prefix: str) -> Callable[[str], str]:
        return lambda name: name[len(prefix) :] if name.startswith(prefix) else name

    return [make(prefix) for prefix in prefixes for make in ((adding, removing) if prefix else (adding,))]


def _match_renamed(
    expected: Mapping[str, Sequence[int]],
    arrays: Mapping[str, np.ndarray],
    rename: Callable[[str], str],
    source: str,
) -> MatchReport:
    in_file: dict[str, str] = {}
    for name in arrays:
        in_file.setdefault(rename(name), name)
    renamed = {new: arrays[old] for new, old in in_file.items()}
    misshapen = _misshapen(expected, renamed)
    wrong = {item.name for item in misshapen}
    used = {in_file[name] for name in expected if name in in_file}
    return MatchReport(
        source=source,
        expected=len(expected),
        loaded={name: renamed[name] for name in expected if name in renamed and name not in wrong},
        misshapen=misshapen,
        missing=[name for name in expected if name not in renamed],
        unused=[name for name in arrays if name not in used],
    )


def _misshapen(expected: Mapping[str, Sequence[int]], arrays: Mapping[str, np.ndarray]) -> list[Misshapen]:
    return [
        Misshapen(name, tuple(arrays[name].shape), tuple(shape))
        for name, shape in expected.items()
        if name in arrays and tuple(arrays[name].shape) != tuple(shape)
    ]


def _class_mismatch(misshapen: Sequence[Misshapen], expected: int) -> tuple[int, int] | None:
    """The one pair of sizes in which all misshapen tensors differ, each along a single axis.

    Only the last layers know the number of classes, so neither half of the network nor a batch norm differs in it.
    """
    pairs = set()
    if 2 * len(misshapen) > expected:
        return None
    for item in misshapen:
        if len(item.in_file) != len(item.in_network) or item.name.endswith(("._mean", "._variance")):
            return None
        differing = [pair for pair in zip(item.in_file, item.in_network) if pair[0] != pair[1]]
        if len(differing) != 1:
            return None
        pairs.add(differing[0])
    return pairs.pop() if len(pairs) == 1 else None


def _likely_cause(
    expected: Mapping[str, Sequence[int]],
    arrays: Mapping[str, np.ndarray],
    missing: Sequence[str],
    misshapen: Sequence[Misshapen],
) -> str:
    classes = _class_mismatch(misshapen, len(expected))
    if 2 * len(missing) > len(expected):
        if any(name.startswith("backbone.") and name[len("backbone.") :] in arrays for name in missing):
            return "likely cause: the file holds a backbone alone; give it as the pretrained weights of a training run"
        return "likely cause: the file belongs to another network; give the weights that were trained with this config"
    if classes and not missing:
        return (
            f"likely cause: num_classes is {classes[0]} in the file and {classes[1]} in the config; "
            f"set num_classes to {classes[0]} or give weights trained with {classes[1]}"
        )
    return "likely cause: another variant of the network (depth, head or backbone); compare the config with the file's"


def _first(items: Sequence[object], count: int) -> str:
    """``"4: a, b, c, ..."``, or ``"0"``."""
    if not items:
        return "0"
    dots = ", ..." if len(items) > count else ""
    return f"{len(items)}: " + ", ".join(str(item) for item in items[:count]) + dots
