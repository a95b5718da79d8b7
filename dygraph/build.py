"""From a config's blocks to layers: the network and its losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from paddle import Tensor, nn

import dygraph.backbones
import dygraph.losses
import dygraph.models  # noqa: F401  (importing these three registers what they define)
from dygraph.losses.common import scaled
from dygraph.losses.edges import edge_label
from shared.config.components import check_component
from shared.config.run_config import Component, LossTerm
from shared.errors import ConfigError
from shared.registry import BACKBONES, LOSSES, MODELS, Registry


class WeightedLoss(NamedTuple):
    """A loss layer and its coefficient."""

    loss: nn.Layer
    coef: float


def build_model(
    spec: Component | Mapping[str, Any], *, num_classes: int | None = None, data_format: str | None = None
) -> nn.Layer:
    """Build the network of a config's ``model:`` block.

    Args:
        spec: ``type`` and the constructor's arguments; ``backbone`` is such a block itself.
        num_classes: used where the block does not say.
        data_format: ``"NCHW"`` or ``"NHWC"``, used where the block does not say; the backbone follows the model.

    Raises:
        ConfigError: an unknown type or argument, a missing argument, or one the constructor refuses; each with its
            dotted key (``model.backbone.output_stride``) and the closest valid name.
    """
    model = _filled(MODELS, _plain(spec), num_classes=num_classes, data_format=data_format)
    if isinstance(model, dict) and "backbone" in model:
        model["backbone"] = _filled(BACKBONES, model["backbone"], data_format=model.get("data_format"))
    problems = check_component(MODELS, model, "model") or _layout_problems(model, data_format)
    if problems:
        raise ConfigError(problems)
    if "backbone" in model:
        model["backbone"] = _construct(BACKBONES, model["backbone"], "model.backbone")
    return _construct(MODELS, model, "model")


def build_losses(terms: Sequence[LossTerm], ignore_index: int = 255) -> list[WeightedLoss]:
    """Build one loss per term.

    Args:
        terms: one per map of logits the network gives in training.
        ignore_index: used where a term does not say.

    Raises:
        ConfigError: as in :func:`build_model`, with keys such as ``loss.types.0.weight``.
    """
    specs = [_plain(term.loss) for term in terms]
    problems = [p for i, spec in enumerate(specs) for p in check_component(LOSSES, spec, f"loss.types.{i}")]
    if problems:
        raise ConfigError(problems)
    return [
        WeightedLoss(_build_loss(spec, ignore_index, f"loss.types.{i}"), float(term.coef))
        for i, (spec, term) in enumerate(zip(specs, terms))
    ]


def compute_losses(losses: Sequence[WeightedLoss], logits: Sequence[Any], label: Tensor) -> list[Tensor]:
    """Each loss on its own map of logits, times its coefficient.

    Args:
        logits: what the network gave, each ``[N, K, H, W]``, or a pair of that and edge probabilities ``[N, 1, H, W]``
            for a loss with ``maps = 2``.
        label: ``[N, H, W]`` int64 in ``0..K-1`` or ignore_index; a loss with ``edge_label`` gets its edges instead.

    Returns:
        Scalars, as many as ``losses``; their sum is what training minimises.

    Raises:
        ConfigError: there are not as many losses as maps of logits, or a loss takes a pair and its map is none, or
            the other way round.
    """
    if len(losses) != len(logits):
        raise ConfigError(
            f"loss.types: {len(losses)} loss(es) are configured, but the network gives {len(logits)} map(s) of logits "
            f"in training; name one loss per map, with as many numbers in loss.coef"
        )
    problems = [p for i, (term, x) in enumerate(zip(losses, logits)) for p in _map_problems(term.loss, x, i)]
    if problems:
        raise ConfigError(problems)
    edges: dict[int, Tensor] = {}  # by ignore_index
    terms = []
    for term, x in zip(losses, logits):
        target = _edges_once(label, term.loss.ignore_index, edges) if _reads_edges(term.loss) else label
        terms.append(scaled(term.loss(x, target), term.coef))
    return terms


def _map_problems(loss: nn.Layer, given: Any, place: int) -> list[str]:
    """The sentence about a loss that takes a pair and gets one map, or the other way round."""
    wanted = getattr(loss, "maps", 1)
    found = len(given) if isinstance(given, (list, tuple)) else 1
    if wanted == found:
        return []
    words = {1: "one map", 2: "a pair (logits, edge probabilities)"}
    return [
        f"loss.types.{place}: {type(loss).__name__} takes {words[wanted]}, but map {place + 1} of the network is "
        f"{words.get(found, f'{found} maps')}; name the losses in the order of the network's maps"
    ]


def _reads_edges(loss: nn.Layer) -> bool:
    return getattr(loss, "edge_label", False)


def _edges_once(label: Tensor, ignore_index: int, made: dict[int, Tensor]) -> Tensor:
    if ignore_index not in made:
        made[ignore_index] = edge_label(label, ignore_index)
    return made[ignore_index]


def _build_loss(spec: dict[str, Any], ignore_index: int, key: str) -> nn.Layer:
    spec = _filled(LOSSES, spec, ignore_index=ignore_index)
    if "losses" in spec:
        spec["losses"] = [_build_loss(s, ignore_index, f"{key}.losses.{i}") for i, s in enumerate(spec["losses"])]
    return _construct(LOSSES, spec, key)


def _plain(spec: Any) -> Any:
    """Blocks as plain dicts that may be written to; anything else as it is, for the check to judge."""
    if isinstance(spec, Mapping) and "type" in spec:
        spec = Component.from_dict(spec)
    return spec.to_dict() if isinstance(spec, Component) else spec


def _filled(registry: Registry, spec: Any, **values: Any) -> Any:
    """``spec`` with what is given from outside, where its entry takes that and the block does not say."""
    name = spec.get("type") if isinstance(spec, Mapping) else None
    if not isinstance(name, str) or name not in registry:
        return spec
    known = registry.parameters(name)
    return {**{k: v for k, v in values.items() if v is not None and k in known}, **spec}


def _layout_problems(model: Mapping[str, Any], wanted: str | None) -> list[str]:
    """Layouts that contradict each other; a block without the argument knows only NCHW."""
    own = model.get("data_format", "NCHW")
    problems = []
    if wanted == "NHWC" and own != "NHWC":
        problems.append(f"model.data_format: the run asks for 'NHWC', but {model['type']} stays in {own!r}; use NCHW")
    if isinstance(model.get("backbone"), Mapping):
        inner = model["backbone"].get("data_format", "NCHW")
        if inner != own:
            problems.append(
                f"model.backbone.data_format: {model['backbone']['type']} runs in {inner!r}, but the network around "
                f"it in {own!r}; make them equal"
            )
    return problems


def _construct(registry: Registry, spec: Mapping[str, Any], key: str) -> nn.Layer:
    arguments = {k: v for k, v in spec.items() if k != "type"}
    try:
        return registry[spec["type"]](**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{key}: {spec['type']} refuses its arguments: {error}") from error
