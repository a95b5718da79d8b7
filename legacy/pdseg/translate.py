"""From the checked tree of the static configuration to a ``RunConfig``, section by section."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from yacs.config import CfgNode

from legacy.pdseg.translate_data import translate_data
from legacy.pdseg.translate_model import translate_losses, translate_model
from legacy.pdseg.yacs_tree import Problems
from legacy.pdseg.yacs_values import to_hw
from shared.config.run_config import (
    EvalConfig,
    FilesConfig,
    OptimizerConfig,
    PrecisionConfig,
    ReaderConfig,
    RunConfig,
    ScheduleConfig,
    TrainConfig,
)

DEFAULT_SAVE_DIR = "output"
MOST_READY_PER_WORKER = 2  # batches; BUF_SIZE can only make them fewer


def translate(
    cfg: CfgNode, problems: Problems, *, use_mpio: bool, check_lists: Collection[str], flags: Mapping[str, Any]
) -> RunConfig | None:
    """The run, or None where there are findings.

    Args:
        cfg: the tree.
        problems: findings are added here.
        use_mpio: worker processes instead of threads.
        check_lists: of which parts (``train``, ``val``, ``vis``) a named list must exist already.
        flags: fields of ``TrainConfig`` that the command line replaces.
    """
    model = translate_model(cfg, problems)
    losses = translate_losses(cfg, problems)
    train_data, val_data = translate_data(cfg, problems, check_lists)
    evaluation = _evaluation(cfg, problems)
    reader = _reader(cfg, problems, use_mpio)
    train = _train(cfg, flags)
    if train.do_eval and val_data is None:
        problems.add("DATASET.VAL_FILE_LIST", "is empty, and --do_eval needs it")
    if problems or model is None:
        return None
    return RunConfig(
        model=model,
        losses=losses,
        optimizer=_optimizer(cfg),
        schedule=_schedule(cfg),
        train=train,
        train_data=train_data,
        val_data=val_data,
        evaluation=evaluation,
        reader=reader,
        precision=_precision(cfg),
        files=_files(cfg),
        num_classes=cfg.DATASET.NUM_CLASSES,
        ignore_index=cfg.DATASET.IGNORE_INDEX,
        data_format=cfg.MODEL.DATA_FORMAT,
    )


def _optimizer(cfg: CfgNode) -> OptimizerConfig:
    """``sgd`` is SGD with MOMENTUM; ``adam`` and ``adamw`` take MOMENTUM and MOMENTUM2 as their betas."""
    solver = cfg.SOLVER
    if solver.OPTIMIZER == "sgd":
        return OptimizerConfig(type="momentum", momentum=solver.MOMENTUM, weight_decay=solver.WEIGHT_DECAY)
    return OptimizerConfig(
        type=solver.OPTIMIZER, beta1=solver.MOMENTUM, beta2=solver.MOMENTUM2, weight_decay=solver.WEIGHT_DECAY
    )


def _schedule(cfg: CfgNode) -> ScheduleConfig:
    """poly falls to 0 over the whole run, piecewise by GAMMA after DECAY_EPOCH epochs, cosine moves once an epoch."""
    solver = cfg.SOLVER
    by_policy: dict[str, dict[str, Any]] = {
        "poly": {"type": "poly", "power": solver.POWER, "end_lr": 0.0},
        "piecewise": {
            "type": "step",
            "gamma": solver.GAMMA,
            "boundaries": tuple(sorted(solver.DECAY_EPOCH)),
            "boundary_unit": "epoch",
        },
        "cosine": {"type": "cosine", "step_unit": "epoch", "end_lr": 0.0},
    }
    return ScheduleConfig(
        learning_rate=solver.LR,
        warmup_iters=solver.LR_WARMUP_STEPS if solver.LR_WARMUP else 0,
        warmup_start_lr=0.0,
        warmup_shifts=not solver.LR_WARMUP,
        **by_policy[solver.LR_POLICY],
    )


def _train(cfg: CfgNode, flags: Mapping[str, Any]) -> TrainConfig:
    section = cfg.TRAIN
    fields: dict[str, Any] = {
        "epochs": cfg.SOLVER.NUM_EPOCHS,
        "batch_size": cfg.BATCH_SIZE,
        "batch_is_global": True,
        "save_interval_epochs": section.SNAPSHOT_EPOCH,
        "save_dir": section.MODEL_SAVE_DIR or DEFAULT_SAVE_DIR,
        "resume_from": section.RESUME_MODEL_DIR or None,
        "weights": section.PRETRAINED_MODEL_DIR or None,
        "seed": section.SEED,
        "deterministic": section.DETERMINISTIC,
        "sync_bn": section.SYNC_BATCH_NORM,
        "onednn": section.ONEDNN,
        "early_stop_intervals": section.EARLY_STOP_INTERVALS,
    }
    return TrainConfig(**{**fields, **flags})


def _evaluation(cfg: CfgNode, problems: Problems) -> EvalConfig:
    test = cfg.TEST
    for key in ("CROP_SIZE", "STRIDE"):
        if test.IS_SLIDE and not test[key]:
            problems.add(f"TEST.{key}", "TEST.IS_SLIDE needs it: (width, height) in pixels")
    if test.CROP_SIZE and test.STRIDE and any(s > c for s, c in zip(test.STRIDE, test.CROP_SIZE)):
        problems.add(
            "TEST.STRIDE", f"got {test.STRIDE}, which is above TEST.CROP_SIZE {test.CROP_SIZE} and leaves gaps"
        )
    scales = [test.SCALES] if isinstance(test.SCALES, float) else test.SCALES
    return EvalConfig(
        aug_eval=test.AUG_EVAL,
        scales=tuple(scales),
        flip_horizontal=test.FLIP_HORIZONTAL,
        flip_vertical=test.FLIP_VERTICAL,
        is_slide=test.IS_SLIDE,
        crop_hw=to_hw(test.CROP_SIZE),
        stride_hw=to_hw(test.STRIDE),
    )


def reader_kind(use_mpio: bool) -> str:
    """Worker processes for ``--use_mpio``, threads without it."""
    return "process" if use_mpio else "thread"


def _reader(cfg: CfgNode, problems: Problems, use_mpio: bool) -> ReaderConfig:
    loader = cfg.DATALOADER
    if loader.CACHE == "ram" and loader.CACHE_DIR is not None:
        problems.add(
            "DATALOADER.CACHE_DIR",
            f"got {loader.CACHE_DIR!r} with DATALOADER.CACHE ram, which has no directory; remove it, or use disk",
        )
    return replace(
        reader_config(loader.NUM_WORKERS, loader.BUF_SIZE, use_mpio),
        on_bad_sample=loader.ON_BAD_SAMPLE,
        cache=loader.CACHE,
        cache_size=loader.CACHE_SIZE,
        cache_dir=loader.CACHE_DIR,
    )


def reader_config(workers: int, buffered: int, use_mpio: bool) -> ReaderConfig:
    """Worker processes or threads that keep at most ``buffered`` batches ready, and at most two each.

    Args:
        workers: 0 reads in the training loop itself.
        buffered: BUF_SIZE; below the number of workers it makes them fewer.
        use_mpio: processes instead of threads.
    """
    if workers == 0:
        return ReaderConfig(kind="inline", workers=0)
    workers = min(workers, buffered)
    return ReaderConfig(
        kind=reader_kind(use_mpio),
        workers=workers,
        prefetch=min(MOST_READY_PER_WORKER, buffered // workers),
    )


def _files(cfg: CfgNode) -> FilesConfig:
    images = cfg.DATASET.VIS_FILE_LIST or cfg.DATASET.TEST_FILE_LIST or None
    return FilesConfig(
        test_weights=cfg.TEST.TEST_MODEL or None,
        predict_images=images,
        predict_root=cfg.DATASET.DATA_DIR if images else None,
        predict_separator=cfg.DATASET.SEPARATOR if images else None,
        export_dir=cfg.FREEZE.SAVE_DIR,
        export_model=cfg.FREEZE.MODEL_FILENAME,
        export_params=cfg.FREEZE.PARAMS_FILENAME,
    )


def _precision(cfg: CfgNode) -> PrecisionConfig:
    """FP16 switches mixed precision on; AMP_DTYPE, AMP_LEVEL and SCALE_LOSS say how, and wait for it."""
    scale = cfg.MODEL.SCALE_LOSS
    return PrecisionConfig(
        dtype=cfg.MODEL.AMP_DTYPE if cfg.MODEL.FP16 else "float32",
        loss_scale=scale.lower() if isinstance(scale, str) else scale,
        level=cfg.MODEL.AMP_LEVEL,
    )
