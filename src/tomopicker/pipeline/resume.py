"""Checkpoints of an interrupted training, next to its output file: resume, discard or remove them."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tomopicker.errors import UsageError

if TYPE_CHECKING:
    from tomopicker.pipeline.callbacks import Callback


def checkpoint_of_kind(output: Path, kind: str) -> Path:
    """Return the prefix of the checkpoints of one kind; an empty name stands for a model of a single kind."""
    return output.with_name(f"{output.name}.kind-{kind}") if kind else output


def checkpoints(output: Path) -> list[Path]:
    """List the checkpoints of an output file: ``OUTPUT.JOB.ckpt``, of several kinds ``OUTPUT.kind-KIND.JOB.ckpt``."""
    if not output.parent.is_dir():
        return []
    ours = re.compile(rf"{re.escape(output.name)}(\.kind-.+)?(\.\w+)?\.ckpt")  # Not those of OUTPUT.v2.
    return sorted(path for path in output.parent.iterdir() if ours.fullmatch(path.name))


def remove_checkpoints(output: Path) -> None:
    """Remove the checkpoints of a finished output file."""
    for path in checkpoints(output):
        path.unlink(missing_ok=True)


def discard_checkpoints(output: Path, callback: "Callback") -> None:
    """Remove the checkpoints of an interrupted run that is not resumed, with a warning."""
    for path in checkpoints(output):
        callback.warn(f"{path}: from an interrupted run, removed; --resume would have continued it")
        path.unlink(missing_ok=True)


def is_finished(output: Path, callback: "Callback", *, resume: bool, overwrite: bool, dry_run: bool = False) -> bool:
    """Check whether the training that writes `output` is already finished.

    Parameters
    ----------
    resume, overwrite : bool
        The options of the command.
    dry_run : bool
        Remove nothing.

    Raises
    ------
    UsageError
        If a finished file or an interrupted run exists.
    """
    if output.is_dir():
        raise UsageError(f"{output}: is a folder; give --output the name of a file")
    left = checkpoints(output)
    if resume:
        if not output.exists() or _unfinished(output, left):
            return False
        if not dry_run:
            remove_checkpoints(output)  # The run was stopped just after writing its output.
        callback.log(f"{output}: already finished; nothing to resume.")
        return True
    if output.exists() and not overwrite:
        raise UsageError(f"{output}: exists already; give --overwrite to replace it, or another name")
    if left and not overwrite:
        raise UsageError(
            f"{left[0]}: from an interrupted run; give --resume to continue it, or --overwrite to start again"
        )
    return False


def resume_advice(output: Path) -> str:
    """Describe how an interrupted training can be continued."""
    saved = "the training continues from its checkpoint" if checkpoints(output) else "there is no checkpoint yet"
    return f"repeat the command with --resume: {saved}"


def _unfinished(output: Path, left: list[Path]) -> bool:
    """True if a later run has started: its checkpoints are newer than the output."""
    written = output.stat().st_mtime_ns
    return any(path.stat().st_mtime_ns > written for path in left)
