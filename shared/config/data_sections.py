"""The ``train_dataset``, ``val_dataset``, ``model`` and ``test_config`` blocks of an eager config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import shared.datasets
import shared.transforms  # noqa: F401 - both imports fill the registries
from shared.config.components import as_component, check_component
from shared.config.run_config import Component, DatasetConfig, EvalConfig
from shared.config.section import Findings, Section
from shared.registry import DATASETS, MODELS, TRANSFORMS

SECTION_MODES: Mapping[str, str] = {"train_dataset": "train", "val_dataset": "val"}
DEFAULT_IGNORE_INDEX = 255


def class_fact(spec: Any, name: str) -> int | None:
    """``num_classes`` or ``ignore_index`` of a data set: what its block says, else what its class knows."""
    if not isinstance(spec, Mapping):
        return None
    value = spec.get(name)
    if value is None and isinstance(spec.get("type"), str) and spec["type"] in DATASETS:
        value = getattr(DATASETS[spec["type"]], name, None)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def agree(facts: Mapping[str, int | None], findings: Findings, advice: str) -> int | None:
    """The one value of all facts that are known; a finding names the first two that contradict each other."""
    known = {key: value for key, value in facts.items() if value is not None}
    for key, value in known.items():
        first = next(iter(known))
        if value != known[first]:
            findings.append(f"{key}: is {value}, but {first} is {known[first]}; {advice}")
            break
    return next(iter(known.values()), None)


def read_num_classes(values: Mapping[str, Any], findings: Findings) -> int | None:
    """K, from the model or a data set, which must not contradict each other."""
    model = values.get("model")
    facts = {"model.num_classes": model.get("num_classes") if isinstance(model, Mapping) else None}
    if not isinstance(facts["model.num_classes"], int):
        facts = {}  # a wrong type is found with the model's other arguments
    for section in SECTION_MODES:
        facts[f"{section}.num_classes"] = class_fact(values.get(section), "num_classes")
    count = agree(facts, findings, "make them agree")
    if count is None:
        findings.append("model.num_classes: missing, and no data set says it; write the number of classes")
    elif count < 2:
        findings.append(f"model.num_classes: expected 2 or more (background counts), got {count}")
    return count


def read_ignore_index(values: Mapping[str, Any], findings: Findings) -> int:
    """The label value that no loss and no metric counts."""
    facts = {f"{s}.ignore_index": class_fact(values.get(s), "ignore_index") for s in SECTION_MODES}
    found = agree(facts, findings, "make them agree")
    return DEFAULT_IGNORE_INDEX if found is None else found


def read_dataset(
    name: str, spec: Any, num_classes: int | None, findings: Findings, edges_read: bool = False
) -> DatasetConfig | None:
    """A data set with its transforms; ``mode`` and ``num_classes`` are filled in where the constructor takes them.

    Args:
        name: ``train_dataset`` or ``val_dataset``.
        spec: the block; None where the config has none.
        num_classes: of the run.
        findings: takes the problems.
        edges_read: whether a loss reads the edges of this data set's labels.
    """
    if spec is None:
        return None
    before = len(findings)
    steps: tuple[Component, ...] = ()
    to_rgb, edge = True, edges_read
    if isinstance(spec, Mapping):
        steps = read_transforms(spec.get("transforms"), f"{name}.transforms", findings)
        section = Section(spec, name, findings)
        to_rgb = section.take("to_rgb", "bool", True)
        edge = section.take("edge", "bool", edges_read)
        if edges_read and not edge:
            section.problem("edge", "is false, but a loss reads edges (edge_label: true); remove the key or the loss")
        spec = {k: v for k, v in spec.items() if k not in ("transforms", "to_rgb", "edge")}
        spec = {**_defaults(spec, name, num_classes), **spec}
    findings.extend(check_component(DATASETS, spec, name))
    if len(findings) > before:
        return None
    return DatasetConfig(as_component(spec), steps, to_rgb, edge)


def _defaults(spec: Mapping[str, Any], name: str, num_classes: int | None) -> dict[str, Any]:
    kind = spec.get("type")
    if not isinstance(kind, str) or kind not in DATASETS:
        return {}
    filled = {"mode": SECTION_MODES[name], "num_classes": num_classes}
    return {k: v for k, v in filled.items() if k in DATASETS.parameters(kind) and v is not None}


def read_transforms(spec: Any, key: str, findings: Findings) -> tuple[Component, ...]:
    """A list of transforms; each is also constructed once, so that its own checks speak here."""
    if spec is None:
        findings.append(f"{key}: missing; write at least [{{type: Normalize}}]")
        return ()
    if not isinstance(spec, (list, tuple)):
        findings.append(f"{key}: expected a list of transforms, got {spec!r}")
        return ()
    problems = [
        p for i, step in enumerate(spec) for p in check_component(TRANSFORMS, step, f"{key}.{i}", construct=True)
    ]
    findings.extend(problems)
    return () if problems else tuple(as_component(step) for step in spec)


def read_model(spec: Any, num_classes: int | None, findings: Findings) -> Component | None:
    """The network; ``num_classes`` is filled in. ``data_format`` belongs to the run and is taken by the caller."""
    if spec is None:
        findings.append("model: missing; e.g. {type: FCN, backbone: {type: HRNet_W18}}")
        return None
    if isinstance(spec, Mapping):
        spec = {k: v for k, v in spec.items() if k != "data_format"}
        backbone = spec.get("backbone")
        if isinstance(backbone, Mapping) and "data_format" in backbone:
            findings.append("model.backbone.data_format: the whole run has one; set data_format at the top level")
    problems = check_component(MODELS, spec, "model", provided=("num_classes",))
    findings.extend(problems)
    if problems:
        return None
    model = as_component(spec)
    return Component(model.type, {**model.args, **({} if num_classes is None else {"num_classes": num_classes})})


def read_evaluation(spec: Any, findings: Findings) -> EvalConfig:
    """``test_config``; its sizes are (width, height) in the file and (height, width) afterwards."""
    section = Section({} if spec is None else spec, "test_config", findings)
    scales = section.take("scales", "float | Sequence[float]", 1.0, above=0)
    scales = tuple(float(s) for s in scales) if isinstance(scales, (list, tuple)) else (float(scales),)
    if not scales or any(s <= 0 for s in scales):
        section.problem("scales", f"expected positive numbers, got {list(scales)}")
    section.take_if_off("auc_roc", "the area under the ROC curve is not computed here; remove the key")
    config = EvalConfig(
        aug_eval=section.take("aug_eval", "bool", False),
        scales=scales,
        flip_horizontal=section.take("flip_horizontal", "bool", False),
        flip_vertical=section.take("flip_vertical", "bool", False),
        is_slide=section.take("is_slide", "bool", False),
        crop_hw=_size_hw(section, "crop_size"),
        stride_hw=_size_hw(section, "stride"),
    )
    section.finish("test_config")
    _check_windows(section, config)
    return config


def _size_hw(section: Section, name: str) -> tuple[int, int] | None:
    size = section.take(name, "tuple[int, int] | None", None)
    if size is None:
        return None
    width, height = size
    if width < 1 or height < 1:
        section.problem(name, f"expected [width, height] of at least 1, got {list(size)}")
        return None
    return height, width


def _check_windows(section: Section, config: EvalConfig) -> None:
    if not config.is_slide:
        return
    for name, size in (("crop_size", config.crop_hw), ("stride", config.stride_hw)):
        if size is None and name not in section:
            section.problem(name, "needed by is_slide; write [width, height], e.g. [1024, 512]")
    if config.crop_hw and config.stride_hw and any(s > c for s, c in zip(config.stride_hw, config.crop_hw)):
        crop, stride = list(config.crop_hw[::-1]), list(config.stride_hw[::-1])
        section.problem("stride", f"{stride} is larger than crop_size {crop}: pixels between windows would be missed")
