"""A ``RunConfig`` as plain containers: in the spelling of the eager config files, and field by field as JSON."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

from shared.config.components import NESTED
from shared.config.run_config import (
    Component,
    DatasetConfig,
    EvalConfig,
    FilesConfig,
    LossTerm,
    OptimizerConfig,
    PrecisionConfig,
    ReaderConfig,
    RunConfig,
    ScheduleConfig,
    TrainConfig,
)
from shared.errors import ConfigError
from shared.registry import DATASETS, LOSSES, MODELS, TRANSFORMS, Registry

#: Constructor parameters that the run decides once for everything.
_OF_THE_RUN = ("data_format",)
_SECTIONS = {
    "optimizer": OptimizerConfig,
    "schedule": ScheduleConfig,
    "train": TrainConfig,
    "evaluation": EvalConfig,
    "reader": ReaderConfig,
    "precision": PrecisionConfig,
    "files": FilesConfig,
}


def effective_values(run: RunConfig, defaults: bool = True) -> dict[str, Any]:
    """Every value of a run under the keys of an eager config file; ``defaults`` adds those of the constructors."""
    train, evaluation = run.train, run.evaluation
    values: dict[str, Any] = {
        "batch_size": train.batch_size,
        "iters": train.iters,
        "epochs": train.epochs,
        "train_dataset": _dataset(run.train_data, defaults),
        "val_dataset": _dataset(run.val_data, defaults),
        "optimizer": _optimizer(run.optimizer),
        "lr_scheduler": _schedule(run.schedule),
        "loss": {
            "types": [component_values(LOSSES, term.loss, defaults) for term in run.losses],
            "coef": [term.coef for term in run.losses],
        },
        "model": component_values(MODELS, run.model, defaults),
        "test_config": {
            "aug_eval": evaluation.aug_eval,
            "scales": list(evaluation.scales),
            "flip_horizontal": evaluation.flip_horizontal,
            "flip_vertical": evaluation.flip_vertical,
            "is_slide": evaluation.is_slide,
            "crop_size": _size_wh(evaluation.crop_hw),
            "stride": _size_wh(evaluation.stride_hw),
        },
        "log_iters": train.log_iters,
        "save_interval": train.save_interval,
        "save_interval_epochs": train.save_interval_epochs,
        "keep_checkpoint_max": train.keep_checkpoint_max,
        "do_eval": train.do_eval,
        "early_stop_intervals": train.early_stop_intervals,
        "save_dir": train.save_dir,
        "resume_model": train.resume_from,
        "weights": train.weights,
        "seed": train.seed,
        "deterministic": train.deterministic,
        "use_vdl": train.use_vdl,
        "vdl_log_dir": train.vdl_log_dir,
        "sync_bn": train.sync_bn,
        "onednn": train.onednn,
        "num_workers": run.reader.workers,
        "on_bad_sample": run.reader.on_bad_sample,
        "reader": {
            "kind": run.reader.kind,
            "prefetch": run.reader.prefetch,
            "cache": run.reader.cache,
            "cache_size": run.reader.cache_size,
            "cache_dir": run.reader.cache_dir,
        },
        "precision": run.precision.dtype,
        "amp_level": run.precision.level,
        "loss_scale": run.precision.loss_scale,
        "data_format": run.data_format,
    }
    unset = ("train_dataset", "val_dataset", "epochs" if train.iters is not None else "iters")
    return {k: v for k, v in values.items() if v is not None or k not in unset}


def component_values(registry: Registry, component: Component, defaults: bool) -> dict[str, Any]:
    """A component as a config block; ``defaults`` adds those of its constructor after what was written."""
    values: dict[str, Any] = {"type": component.type}
    for name, value in component.args.items():
        values[name] = _argument(NESTED.get(name), value, defaults)
    if defaults and component.type in registry:
        for name, parameter in registry.parameters(component.type).items():
            given = parameter.default is not inspect.Parameter.empty
            if given and name not in values and name not in _OF_THE_RUN:
                values[name] = _argument(NESTED.get(name), parameter.default, defaults)
    return values


def _argument(registry: Registry | None, value: Any, defaults: bool) -> Any:
    if isinstance(value, Component):
        return value.to_dict() if registry is None else component_values(registry, value, defaults)
    if isinstance(value, (list, tuple)):
        return [_argument(registry, v, defaults) for v in value]
    return {k: _argument(registry, v, defaults) for k, v in value.items()} if isinstance(value, Mapping) else value


def _dataset(config: DatasetConfig | None, defaults: bool) -> dict[str, Any] | None:
    if config is None:
        return None
    return {
        **component_values(DATASETS, config.dataset, defaults),
        "to_rgb": config.to_rgb,
        "edge": config.edge,
        "transforms": [component_values(TRANSFORMS, t, defaults) for t in config.transforms],
    }


def _optimizer(config: OptimizerConfig) -> dict[str, Any]:
    fields = ("momentum", "use_nesterov") if config.type == "momentum" else ("beta1", "beta2", "epsilon")
    return {"type": config.type, **{f: getattr(config, f) for f in fields}, "weight_decay": config.weight_decay}


def _schedule(config: ScheduleConfig) -> dict[str, Any]:
    specific: dict[str, dict[str, Any]] = {
        "poly": {
            "type": "PolynomialDecay",
            "end_lr": config.end_lr,
            "power": config.power,
            "decay_steps": config.decay_iters,
        },
        "cosine": {
            "type": "CosineAnnealingDecay",
            "eta_min": config.end_lr,
            "T_max": config.decay_iters,
            "step_unit": config.step_unit,
        },
        "step": {
            "type": "MultiStepDecay",
            "gamma": config.gamma,
            "milestones": list(config.boundaries),
            "boundary_unit": config.boundary_unit,
        },
        "constant": {"type": "Constant"},
    }
    block = specific[config.type]
    return {
        "type": block.pop("type"),
        "learning_rate": config.learning_rate,
        **block,
        "warmup_iters": config.warmup_iters,
        "warmup_start_lr": config.warmup_start_lr,
        "warmup_shifts": config.warmup_shifts,
    }


def _size_wh(size_hw: tuple[int, int] | None) -> list[int] | None:
    return None if size_hw is None else [size_hw[1], size_hw[0]]


def config_to_dict(run: RunConfig) -> dict[str, Any]:
    """Every field of a run in containers that JSON can hold; :func:`config_from_dict` is the inverse."""
    return {f.name: _json(getattr(run, f.name)) for f in dataclasses.fields(run)}


def _json(value: Any) -> Any:
    if isinstance(value, Component):
        return value.to_dict()
    if dataclasses.is_dataclass(value):
        return {f.name: _json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [_json(v) for v in value]
    return {str(k): _json(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def config_from_dict(values: Mapping[str, Any]) -> RunConfig:
    """The run that :func:`config_to_dict` wrote down, as a checkpoint stores it.

    Raises:
        ConfigError: a section is missing or malformed, or has a field this version does not know.
    """
    try:
        fields = dict(values)
        for name, section in _SECTIONS.items():
            fields[name] = section(**{k: _tuples(v) for k, v in fields[name].items()})
        fields["model"] = Component.from_dict(fields["model"])
        fields["losses"] = tuple(LossTerm(Component.from_dict(t["loss"]), t["coef"]) for t in fields["losses"])
        for name in ("train_data", "val_data"):
            fields[name] = None if fields[name] is None else _dataset_from(fields[name])
        return RunConfig(**fields)
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"the stored config cannot be read by this version: {error}; use the YAML file") from None


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _dataset_from(values: Mapping[str, Any]) -> DatasetConfig:
    steps = tuple(Component.from_dict(t) for t in values["transforms"])
    return DatasetConfig(Component.from_dict(values["dataset"]), steps, values["to_rgb"], values.get("edge", False))
