"""The static mode's front-end: a yacs file and ``KEY VALUE`` overrides become a frozen ``RunConfig``.

    python pdseg/train.py --cfg configs/hrnetw18_cityscapes_1024x512_215.yaml BATCH_SIZE 2 SOLVER.NUM_EPOCHS 3

A file of ``configs/`` (lower-case keys) is read by the eager front-end, so that one file describes a run in both
modes. The options are listed in ``yacs_defaults.py``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from legacy.pdseg.translate import reader_kind, translate
from legacy.pdseg.yacs_defaults import OPTIONS
from legacy.pdseg.yacs_tree import Problems, merge
from shared.config.eager import load_run_config
from shared.config.overrides import COMMAND_LINE
from shared.config.run_config import RunConfig
from shared.config.yaml_file import ConfigTree, load_config_file
from shared.errors import ConfigError

#: Command-line flags both kinds of file take, by their key in ``configs/``, and the field of ``TrainConfig`` each sets.
FLAGS: Mapping[str, str] = {
    "log_iters": "log_iters",
    "do_eval": "do_eval",
    "use_vdl": "use_vdl",
    "vdl_log_dir": "vdl_log_dir",
    "seed": "seed",
    "deterministic": "deterministic",
    "save_dir": "save_dir",
    "resume_model": "resume_from",
    "keep_checkpoint_max": "keep_checkpoint_max",
}
_YACS_KEYS = {  # the options that flags replace
    "seed": "TRAIN.SEED",
    "deterministic": "TRAIN.DETERMINISTIC",
    "save_dir": "TRAIN.MODEL_SAVE_DIR",
    "resume_model": "TRAIN.RESUME_MODEL_DIR",
}
_SPELLED = {"log_iters": "--log_steps"}  # flags whose name on the command line is another
_LEAST = {"log_iters": 1, "seed": 0, "keep_checkpoint_max": 0}


def load_static_config(
    path: str,
    overrides: Sequence[str] = (),
    *,
    use_mpio: bool = False,
    flags: Mapping[str, Any] | None = None,
    check_lists: Collection[str] = ("train", "val"),
) -> RunConfig:
    """Read, check and translate a config file of either kind.

    Args:
        path: a yacs file (upper-case keys) or a file of ``configs/`` (lower-case keys).
        overrides: the trailing words of the command: ``["BATCH_SIZE", "2"]``, for a file of ``configs/``
            ``["batch_size", "2"]`` or ``["batch_size=2"]``.
        use_mpio: batches are prepared by worker processes; otherwise by threads.
        flags: values for the names in :data:`FLAGS`; None and False mean that a flag was not given.
        check_lists: of which parts (``train``, ``val``, ``vis``) a list that a yacs file names must exist already.

    Returns:
        The run. ``origins`` has, for every option of a yacs file, the file it was written in, ``"command line"`` or
        ``"default"``.

    Raises:
        ConfigError: everything wrong with file and overrides in one error, each finding with its dotted key.
        ValueError: a flag that is not in :data:`FLAGS`.
    """
    given = _given(flags or {})
    file = load_config_file(path)
    if not _is_yacs(file, path):
        return _with_reader(load_run_config(path, given, _assignments(overrides)), use_mpio)
    problems = Problems()
    cfg, origins = merge(file, overrides, problems)
    _check_flags(given, problems)
    fields = {FLAGS[name]: value for name, value in given.items()}
    run = translate(cfg, problems, use_mpio=use_mpio, check_lists=check_lists, flags=fields)
    if run is None:
        raise ConfigError(problems.sentences(), path)
    origins.update({_YACS_KEYS.get(name, f"--{name}"): COMMAND_LINE for name in given})
    return run.replace(source=path, origins=origins)


def _given(flags: Mapping[str, Any]) -> dict[str, Any]:
    unknown = [name for name in flags if name not in FLAGS]
    if unknown:
        raise ValueError(f"unknown flags {', '.join(unknown)}; expected some of {', '.join(FLAGS)}")
    return {name: value for name, value in flags.items() if value is not None and value is not False}


def _check_flags(given: Mapping[str, Any], problems: Problems) -> None:
    for name, least in _LEAST.items():
        if name in given and given[name] < least:
            problems.add(_SPELLED.get(name, f"--{name}"), f"got {given[name]}, expected {least} or more")


def _is_yacs(file: ConfigTree, path: str) -> bool:
    """Whether the top-level keys are upper-case."""
    if not file.values:
        raise ConfigError("the file has no keys; expected a run, as the files of legacy/configs and configs have", path)
    upper = [str(key) for key in file.values if str(key).isupper()]
    lower = [str(key) for key in file.values if not str(key).isupper()]
    if upper and lower:
        raise ConfigError(
            f"{lower[0]}: stands beside {upper[0]}; a file has either upper-case keys (yacs) or lower-case "
            "keys (as in configs/), not both",
            path,
        )
    return bool(upper)


def _assignments(words: Sequence[str]) -> list[str]:
    """``KEY VALUE`` pairs and ``KEY=VALUE`` words, mixed, all as ``KEY=VALUE``.

    Raises:
        ConfigError: a key without a value.
    """
    found, position = [], 0
    while position < len(words):
        word = words[position]
        if "=" in word:
            found.append(word)
            position += 1
        elif position + 1 < len(words):
            found.append(f"{word}={words[position + 1]}")
            position += 2
        else:
            raise ConfigError(f"{word}: has no value; overrides are KEY VALUE pairs or KEY=VALUE", COMMAND_LINE)
    return found


def _with_reader(run: RunConfig, use_mpio: bool) -> RunConfig:
    """The reader of a file of ``configs/`` as ``--use_mpio`` says.

    Its workers are processes with the flag and threads without, unless the file names a kind and the flag is not
    given. A file that says nothing of workers reads in the loop, or with the flag by the static mode's default number.
    """
    workers = run.reader.workers
    if not use_mpio:
        if workers == 0 or "reader.kind" in run.origins:
            return run
    elif workers == 0:
        if "num_workers" in run.origins:
            raise ConfigError("num_workers: got 0, and --use_mpio needs workers; set num_workers 1 or more", run.source)
        workers = OPTIONS["DATALOADER.NUM_WORKERS"].default
    return run.replace(reader=dataclasses.replace(run.reader, kind=reader_kind(use_mpio), workers=workers))
