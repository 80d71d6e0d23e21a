"""The checkpoints of an interrupted training, which lie beside its output file: resumed, discarded or removed."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tomopicker.errors import UsageError

if TYPE_CHECKING:
    from tomopicker.pipeline.callbacks import Callback


def checkpoint_of_kind(output: Path, kind: str) -> Path:
    """Give the prefix of the checkpoints of one kind of particle; with an empty name, of the only one."""
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
    """Remove the checkpoints of an interrupted run that is not resumed, and say so."""
    for path in checkpoints(output):
        callback.warn(f"{path}: from an interrupted run, removed; --resume would have gone on from it")
        path.unlink(missing_ok=True)


def is_finished(output: Path, callback: "Callback", *, resume: bool, overwrite: bool, dry_run: bool = False) -> bool:
    """Say whether there is nothing left to do for a training that is to write `output`.

    Parameters
    ----------
    output : Path
    callback : Callback
    resume, overwrite : bool
        As the user gave them.
    dry_run : bool
        Leave what lies there as it is.

    Raises
    ------
    UsageError
        If a finished file or an interrupted run is in the way.
    """
    if output.is_dir():
        raise UsageError(f"{output}: is a folder; give --output the name of a file")
    left = checkpoints(output)
    if resume:
        if not output.exists() or _unfinished(output, left):
            return False
        if not dry_run:
            remove_checkpoints(output)  # Of a run that was stopped after its last act.
        callback.log(f"{output}: finished already; there is nothing to resume.")
        return True
    if output.exists() and not overwrite:
        raise UsageError(f"{output}: is there already; give --overwrite to replace it, or another name")
    if left and not overwrite:
        raise UsageError(
            f"{left[0]}: from an interrupted run; give --resume to go on from it, or --overwrite to start anew"
        )
    return False


def how_to_go_on(output: Path) -> str:
    """Advise a user who has interrupted a training."""
    saved = "the training goes on where it was" if checkpoints(output) else "nothing had been learnt yet"
    return f"repeat the command with --resume: {saved}"


def _unfinished(output: Path, left: list[Path]) -> bool:
    """Tell whether a run has begun since the output was written: its checkpoints are younger."""
    written = output.stat().st_mtime_ns
    return any(path.stat().st_mtime_ns > written for path in left)
