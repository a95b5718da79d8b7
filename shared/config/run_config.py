"""``RunConfig``: the one frozen description of a run that both front-ends produce and everything else reads.

Sizes end in ``_hw`` and are (height, width); the front-ends swap the (width, height) of the config files once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

STOP, SKIP = ON_BAD_SAMPLE = ("stop", "skip")


@dataclass(frozen=True)
class Component:
    """A registry entry and its constructor arguments; an argument may itself be a ``Component`` (a backbone)."""

    type: str
    args: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "args", MappingProxyType(dict(self.args)))

    def __reduce__(self) -> tuple[Any, ...]:
        return (Component, (self.type, dict(self.args)))

    def to_dict(self) -> dict[str, Any]:
        """Plain containers, ``type`` first: what a YAML block holds."""
        return {"type": self.type, **{k: _plain(v) for k, v in self.args.items()}}

    def without(self, name: str) -> Component:
        """The same component, and those inside it, with no argument ``name``."""
        args = {k: v.without(name) if isinstance(v, Component) else v for k, v in self.args.items() if k != name}
        return Component(self.type, args)

    @classmethod
    def from_dict(cls, spec: Mapping[str, Any]) -> Component:
        """The inverse of :meth:`to_dict`; nested mappings with a ``type`` become Components, in lists too."""
        return cls(str(spec["type"]), {k: _with_components(v) for k, v in spec.items() if k != "type"})


def _plain(value: Any) -> Any:
    if isinstance(value, Component):
        return value.to_dict()
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def _with_components(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Component.from_dict(value) if "type" in value else {k: _with_components(v) for k, v in value.items()}
    return [_with_components(v) for v in value] if isinstance(value, (list, tuple)) else value


@dataclass(frozen=True)
class DatasetConfig:
    """A data set and what is done to each of its samples."""

    dataset: Component
    transforms: tuple[Component, ...] = ()
    to_rgb: bool = True  # images reach the network as RGB; False keeps OpenCV's BGR (the static recipes' default)
    edge: bool = False  # edges of the labels are asked for, or read by a loss, which makes them


@dataclass(frozen=True)
class LossTerm:
    """One loss on one of the network's outputs, times ``coef``."""

    loss: Component
    coef: float = 1.0


@dataclass(frozen=True)
class OptimizerConfig:
    """``weight_decay`` is an L2 term added to the gradient; for ``adamw`` it is decoupled."""

    type: str = "momentum"  # momentum | adam | adamw   (a recipe's "sgd" is momentum)
    momentum: float = 0.9
    use_nesterov: bool = False
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0


@dataclass(frozen=True)
class ScheduleConfig:
    """The learning rate as a function of the step; see ``shared.engine.schedule``."""

    type: str = "poly"  # poly | step | cosine | constant
    learning_rate: float = 0.01
    end_lr: float = 0.0
    power: float = 0.9
    gamma: float = 0.1
    decay_iters: int | None = None  # None: the length of the run after the warm-up
    boundaries: tuple[int, ...] = ()  # step: where lr is multiplied by gamma
    boundary_unit: str = "iter"  # iter | epoch: the unit of `boundaries`
    step_unit: str = "iter"  # iter | epoch: cosine moves every iteration, or once an epoch
    warmup_iters: int = 0
    warmup_start_lr: float = 0.0
    warmup_shifts: bool = True  # the schedule proper begins after the warm-up; False: it runs beneath it from step 0


@dataclass(frozen=True)
class EvalConfig:
    """How an image becomes one label map."""

    aug_eval: bool = False  # scales and flips below apply only when set
    scales: tuple[float, ...] = (1.0,)
    flip_horizontal: bool = False
    flip_vertical: bool = False
    is_slide: bool = False
    crop_hw: tuple[int, int] | None = None
    stride_hw: tuple[int, int] | None = None


CACHES = ("off", "ram", "disk")  # where decoded samples are kept


@dataclass(frozen=True)
class ReaderConfig:
    """How batches are read: ``inline`` (in the loop), ``thread`` or ``process`` (workers and shared memory)."""

    kind: str = "inline"
    workers: int = 0
    prefetch: int = 2  # batches kept ready per worker
    on_bad_sample: str = STOP  # stop | skip: what a sample that breaks during the run does to it
    cache: str = "off"  # one of CACHES
    cache_size: float = 32.0  # gigabytes (10**9 bytes)
    cache_dir: str | None = None  # disk: the folder; None is ``decoded`` in the toolkit's cache


@dataclass(frozen=True)
class PrecisionConfig:
    """The type asked for; what the machine can do is decided when the stepper is built."""

    dtype: str = "float32"  # float32 | float16 | bfloat16
    loss_scale: float | str = "dynamic"
    level: str = "O1"  # O1 | O2, see dygraph.engine.precision


@dataclass(frozen=True)
class TrainConfig:
    """Length and cadence. Exactly one of ``iters`` and ``epochs`` is set; intervals are in iterations unless named."""

    iters: int | None = None
    epochs: int | None = None
    batch_size: int = 2  # as the config gives it
    batch_is_global: bool = False  # False: per card (eager); True: over all cards (static)
    log_iters: int = 10
    save_interval: int | None = None
    save_interval_epochs: int | None = None
    keep_checkpoint_max: int = 5
    do_eval: bool = False
    early_stop_intervals: int | None = None  # evaluations without a better mIoU after which the run ends
    save_dir: str = "output"
    resume_from: str | None = None
    weights: str | None = None  # whole-network weights to begin from (path or URL)
    seed: int | None = None
    deterministic: bool = False
    use_vdl: bool = False
    vdl_log_dir: str | None = None
    sync_bn: bool = False
    onednn: bool | None = None  # convolutions by oneDNN: True demands it, None takes it where this run can have it


@dataclass(frozen=True)
class FilesConfig:
    """Files the inference commands read and write where no flag names them."""

    test_weights: str | None = None
    predict_images: str | None = None  # a list file; its paths begin at predict_root
    predict_root: str | None = None
    predict_separator: str | None = None
    export_dir: str = "freeze_model"
    export_model: str = "model"
    export_params: str = "model.pdiparams"


@dataclass(frozen=True)
class RunConfig:
    """One run: network, losses, data, optimiser, schedule, evaluation. Built by a front-end, never changed after."""

    model: Component
    losses: tuple[LossTerm, ...]
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    train: TrainConfig
    train_data: DatasetConfig | None
    val_data: DatasetConfig | None
    evaluation: EvalConfig = EvalConfig()
    reader: ReaderConfig = ReaderConfig()
    precision: PrecisionConfig = PrecisionConfig()
    files: FilesConfig = FilesConfig()
    num_classes: int = 2
    ignore_index: int = 255
    data_format: str = "NCHW"
    source: str = ""
    origins: Mapping[str, str] = field(default_factory=dict)  # dotted key -> file or "command line"

    def replace(self, **changes: Any) -> RunConfig:
        """A copy with whole sections replaced."""
        return dataclasses.replace(self, **changes)
