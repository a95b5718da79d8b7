"""The eager front-end: a PaddleSeg 2.x YAML file, its bases and the command line become one ``RunConfig``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.config.data_sections import (
    read_dataset,
    read_evaluation,
    read_ignore_index,
    read_model,
    read_num_classes,
)
from shared.config.learning_rate import read_schedule
from shared.config.overrides import apply_overrides, parse_opts
from shared.config.run_config import (
    CACHES,
    ON_BAD_SAMPLE,
    STOP,
    Component,
    LossTerm,
    PrecisionConfig,
    ReaderConfig,
    RunConfig,
    TrainConfig,
)
from shared.config.section import Findings, Section
from shared.config.solver import read_losses, read_optimizer, reads_edges
from shared.config.yaml_file import ConfigTree, load_config_file, origin_of
from shared.errors import ConfigError

DATA_SET = "the data set"

_PRECISIONS = {
    "fp32": "float32",
    "fp16": "float16",
    "bf16": "bfloat16",
    "float32": "float32",
    "float16": "float16",
    "bfloat16": "bfloat16",
}

#: Keys of PaddleSeg 2.x that are accepted while they say "off", and what to do when they do not.
_NOT_CARRIED = {
    "to_static_training": "train with `cd legacy && python pdseg/train.py` for a static graph; remove the key",
    "use_ema": "no moving average of the weights is kept here; remove the key",
    "distill_loss": "distillation is not carried; remove the key",
    "slim": "pruning and quantisation are not carried; remove the key",
    "profiler_options": "the profiler is not carried; remove the key",
    "test_dataset": "no command reads a test split; rename it val_dataset, or hand the images to predict",
}


def load_run_config(path: str, overrides: Mapping[str, Any] | None = None, opts: Sequence[str] = ()) -> RunConfig:
    """Read, merge, check and freeze one run.

    Args:
        path: the YAML file; ``_base_`` files are found relative to it.
        overrides: dotted keys and values from command-line flags (``{"iters": 100}``); they win over the file.
        opts: further overrides as ``KEY=VALUE`` texts, values in YAML; they win over ``overrides``.

    Raises:
        ConfigError: everything that is wrong, in one error; each finding begins with its dotted key and ends with
            the file it stands in where that is not ``path``.
    """
    tree = load_config_file(path)
    findings = Findings()
    findings.extend(apply_overrides(tree, {**(overrides or {}), **parse_opts(opts)}))
    run = _read(tree, findings, path)
    if findings or run is None:
        raise ConfigError([_with_origin(finding, tree, path) for finding in dict.fromkeys(findings)], path)
    return run


def _with_origin(finding: str, tree: ConfigTree, path: str) -> str:
    """The finding, followed by the places its key and what is below it were written, unless that is ``path`` alone."""
    key = finding.partition(":")[0]
    places = [origin_of(tree.origins, key, path)]
    places += [origin for other, origin in tree.origins.items() if other.startswith(f"{key}.")]
    elsewhere = [place for place in dict.fromkeys(places) if place != path]
    return f"{finding} [{', '.join(elsewhere)}]" if elsewhere else finding


def _read(tree: ConfigTree, findings: Findings, path: str) -> RunConfig | None:
    values = dict(tree.values)
    top = Section(values, "", findings)
    sections = {name: _take_raw(top, name) for name in ("model", "loss", "optimizer", "train_dataset", "val_dataset")}
    sections["test_config"] = _take_raw(top, "test_config")
    for name in ("lr_scheduler", "learning_rate", "export"):
        _take_raw(top, name)
    for name, sentence in _NOT_CARRIED.items():
        top.take_if_off(name, sentence)

    num_classes = read_num_classes(sections, findings)
    ignore_index = read_ignore_index(sections, findings)
    train = _read_train(top)
    reader = _read_reader(top)
    precision = _read_precision(top)
    data_format = _read_data_format(top, sections["model"])
    top.finish("the config")
    _check_export(values, findings)
    model = read_model(sections["model"], num_classes, findings)
    losses = _required("loss", sections["loss"], findings) and read_losses(sections["loss"], ignore_index, findings)
    optimizer = _required("optimizer", sections["optimizer"], findings) and read_optimizer(
        sections["optimizer"], findings
    )
    schedule = read_schedule(values, train.iters, findings)
    train_data = read_dataset(
        "train_dataset", sections["train_dataset"], num_classes, findings, reads_edges(losses or ())
    )
    val_data = read_dataset("val_dataset", sections["val_dataset"], num_classes, findings)
    evaluation = read_evaluation(sections["test_config"], findings)
    if findings or model is None or not losses or not optimizer or num_classes is None:
        return None
    return RunConfig(
        model=model,
        losses=losses,
        optimizer=optimizer,
        schedule=schedule,
        train=train,
        train_data=train_data,
        val_data=val_data,
        evaluation=evaluation,
        reader=reader,
        precision=precision,
        num_classes=num_classes,
        ignore_index=ignore_index,
        data_format=data_format,
        source=path,
        origins={**_filled_in(sections, losses), **tree.origins},
    )


def _filled_in(sections: Mapping[str, Any], losses: Sequence[LossTerm]) -> dict[str, str]:
    """Origins of the values that the data set gave to the model and the losses."""
    filled = {} if "num_classes" in sections["model"] else {"model.num_classes": DATA_SET}
    types = sections["loss"]["types"]
    for i, term in enumerate(losses):
        written = types[i] if len(types) == len(losses) else types[0]
        filled.update(_filled_losses(term.loss, written, f"loss.types.{i}"))
    return filled


def _filled_losses(loss: Component, written: Mapping[str, Any], key: str) -> dict[str, str]:
    filled = {f"{key}.ignore_index": DATA_SET} if "ignore_index" in loss.args and "ignore_index" not in written else {}
    for i, inner in enumerate(loss.args.get("losses", ())):
        filled.update(_filled_losses(inner, written["losses"][i], f"{key}.losses.{i}"))
    return filled


def _take_raw(top: Section, name: str) -> Any:
    return top.take(name, "Any", None)


def _required(name: str, spec: Any, findings: Findings) -> bool:
    if spec is None:
        findings.append(f"{name}: missing; the config needs this section")
    return spec is not None


def _read_train(top: Section) -> TrainConfig:
    iters = top.take("iters", "int | None", None, at_least=1)
    epochs = top.take("epochs", "int | None", None, at_least=1)
    if "iters" in top and "epochs" in top:
        top.problem("epochs", "the length of the run is given by iters already; keep one of the two")
    elif "iters" not in top and "epochs" not in top:
        top.problem("iters", "missing; write the length of the run as iters or as epochs")
    return TrainConfig(
        iters=iters,
        epochs=epochs,
        batch_size=top.take("batch_size", "int", 1, at_least=1),
        log_iters=top.take("log_iters", "int", 10, at_least=1),
        save_interval=top.take("save_interval", "int | None", None, at_least=1),
        save_interval_epochs=top.take("save_interval_epochs", "int | None", None, at_least=1),
        keep_checkpoint_max=top.take("keep_checkpoint_max", "int", 5, at_least=0),
        do_eval=top.take("do_eval", "bool", False),
        early_stop_intervals=top.take("early_stop_intervals", "int | None", None, at_least=1),
        save_dir=top.take("save_dir", "str", "output"),
        resume_from=top.take("resume_model", "str | None", None),
        weights=top.take("weights", "str | None", None),
        seed=top.take("seed", "int | None", None, at_least=0),
        deterministic=top.take("deterministic", "bool", False),
        use_vdl=top.take("use_vdl", "bool", False),
        vdl_log_dir=top.take("vdl_log_dir", "str | None", None),
        sync_bn=top.take("sync_bn", "bool", False),
        onednn=top.take("onednn", "bool | None", None),
    )


def _read_reader(top: Section) -> ReaderConfig:
    """``num_workers: 0`` reads in the loop; more are processes unless ``reader.kind`` says threads."""
    workers = top.take("num_workers", "int", 0, at_least=0)
    values = _take_raw(top, "reader") or {}
    if isinstance(values, Mapping) and values.get("cache") is False:
        values = {**values, "cache": "off"}  # YAML's off is a bool
    section = Section(values, "reader", top.findings)
    default = "process" if workers else "inline"
    kind = section.take("kind", "str", default, one_of=("inline", "thread", "process"))
    prefetch = section.take("prefetch", "int", 2, at_least=1)
    on_bad_sample = top.take("on_bad_sample", "str", STOP, one_of=ON_BAD_SAMPLE)
    cache = section.take("cache", "str", "off", one_of=CACHES)
    cache_size = section.take("cache_size", "float", ReaderConfig.cache_size, above=0)
    cache_dir = section.take("cache_dir", "str | None", None)
    section.finish("reader")
    if cache == "ram" and cache_dir is not None:
        section.problem(
            "cache_dir", f"got {cache_dir!r} with cache: ram, which has no directory; remove it, or use disk"
        )
    if (kind == "inline") != (workers == 0):
        needed = "no worker; set num_workers: 0" if kind == "inline" else "workers; set num_workers"
        section.problem("kind", f"{kind} needs {needed} (num_workers is {workers})")
    return ReaderConfig(kind, workers, prefetch, on_bad_sample, cache, cache_size, cache_dir)


def _read_precision(top: Section) -> PrecisionConfig:
    written = top.take("precision", "str", "fp32", one_of=tuple(_PRECISIONS))
    level = top.take("amp_level", "str", "O1", one_of=("O1", "O2"))
    scale = top.take("loss_scale", "Literal['dynamic'] | float", "dynamic", above=0)
    return PrecisionConfig(_PRECISIONS[written], scale if isinstance(scale, str) else float(scale), level)


def _read_data_format(top: Section, model: Any) -> str:
    """The top level's, or the one PaddleSeg configs may carry in the model."""
    formats = ("NCHW", "NHWC")
    inner = model.get("data_format") if isinstance(model, Mapping) else None
    if inner is not None and "data_format" not in top:
        return Section({"data_format": inner}, "model", top.findings).take("data_format", "str", "NCHW", one_of=formats)
    data_format = top.take("data_format", "str", "NCHW", one_of=formats)
    if inner is not None and inner != data_format:
        top.findings.append(
            f"model.data_format: is {inner}, but data_format is {data_format}; remove it from the model"
        )
    return data_format


def _check_export(values: Mapping[str, Any], findings: Findings) -> None:
    """An export carries the evaluation's transforms; a block that asks for others is refused."""
    spec = values.get("export")
    if spec is None:
        return
    section = Section(spec, "export", findings)
    wanted = section.take("transforms", "Sequence | None", None)
    section.finish("export")
    val = values.get("val_dataset")
    used = val.get("transforms") if isinstance(val, Mapping) else None
    if wanted is not None and wanted != used:
        section.problem(
            "transforms", "differ from val_dataset.transforms, which every export carries; remove the block"
        )
