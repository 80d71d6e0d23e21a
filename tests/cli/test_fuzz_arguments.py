"""Random arguments for every command give one line and an exit code; no traceback, hang or lost input.

``TOMOPICKER_FUZZ_SECONDS=600 pytest tests/cli/test_fuzz_arguments.py`` runs longer than the suite.
"""

import importlib
import os
import pkgutil
import random
import resource
import shutil
import signal
import time
import traceback
from pathlib import Path
from typing import Literal, get_args, get_origin

import typer

import tomopicker
from tests.cli.conftest import call
from tomopicker.cli.app import app

SECONDS = float(os.environ.get("TOMOPICKER_FUZZ_SECONDS", "0"))
SEED = int(os.environ.get("TOMOPICKER_FUZZ_SEED", "0"))
RUNS = 20
PATIENCE, HANG = 1.0, 15.0
"""Seconds until an interruption (Ctrl-C), and maximum processor time of a command."""
MOST_MEMORY = 3 << 30
NUMBERS = [
    "0", "1", "-1", "3", "7", "100", "300", "0.5", "1e308", "1e-300", "-0", "nan", "inf", "-inf", "9" * 30, "1,2,3",
    "8,8,8", "32,40,40", "30nm", "0x10", "", " ", "a", "١", "5%", "TS_1", "[1]", "{}", "null", "true",
]  # fmt: skip
WORDS = [
    "auto", "none", "cpu", "cuda", "csv", "star", "relion5", "warp", "dynamo", "voxel", "angstrom", "fraction", "best",
    "defocus", "xyz", "zyx", "pn", "kl", "training.steps=1", "patches.size=0", "a=b=c", "=", "ribosome", "\u2028",
]  # fmt: skip
EXIT_CODES = {0, 1, 2, 130}


def _files(world, picked, folder):
    """Valid and damaged input files in a folder; paths are relative to it."""
    for name in ("TS_1", "TS_2"):
        shutil.copy(world.tomogram(name), folder)
    shutil.copy(world.clicks, folder / "clicks.csv")
    shutil.copy(world.model, folder / "balls.model")
    shutil.copy(world.config, folder / "tiny.yaml")
    shutil.copytree(picked, folder / "picked")
    whole = (folder / "TS_1.mrc").read_bytes()
    (folder / "short.mrc").write_bytes(whole[:1500])
    (folder / "header.mrc").write_bytes(whole[:1024])
    (folder / "zeros.mrc").write_bytes(bytes(4096))
    (folder / "short.model").write_bytes((folder / "balls.model").read_bytes()[:4000])
    (folder / "empty.star").write_bytes(b"")
    (folder / "empty.csv").write_bytes(b"")
    (folder / "text.star").write_text("data_\n\nloop_\n_rlnCoordinateX #1\n1 2\n")
    (folder / "far.csv").write_text("x,y,z\n1e9,-1e9,nan\n")
    (folder / "bad.yaml").write_text("training: [\n")
    (folder / "noise.bin").write_bytes(random.Random(1).randbytes(3000))
    (folder / "folder").mkdir()
    (folder / "blank name").mkdir()
    return [*sorted(path.name for path in folder.iterdir()), "nowhere", "nowhere/x.mrc", "new.csv", "x" * 300, "é.mrc"]


def _value_type(annotation):
    """Return the type of one value: Path for ``list[Path] | None``."""
    inner = [part for part in get_args(annotation) if part is not type(None)]
    if get_origin(annotation) is Literal or not inner:
        return annotation
    return _value_type(inner[0])


def _arguments(rng, command, paths):
    """Draw options and arguments of a command, mostly of the right type."""

    def value(parameter):
        kind = _value_type(parameter.type_descriptor.annotation)
        right = {Path: paths, float: NUMBERS, int: NUMBERS}.get(kind) or [*get_args(kind), *WORDS]
        return str(rng.choice(right if rng.random() < 0.85 else [*paths, *NUMBERS, *WORDS]))

    given = []
    for parameter in command.params:
        if parameter.name in {"help", "install_completion", "show_completion"}:
            continue
        likely = 0.9 if parameter.required else 0.12
        for _ in range(rng.choice([1, 1, 1, 2])):
            if rng.random() > likely:
                continue
            if not parameter.opts[0].startswith("-"):
                given.append([value(parameter)])
            elif getattr(parameter, "is_flag", False):
                given.append([rng.choice([*parameter.opts, *parameter.secondary_opts])])
            else:
                given.append([rng.choice(parameter.opts), value(parameter)])
    rng.shuffle(given)
    if rng.random() < 0.05:
        given.append(["--no-such-option"])
    return [word for words in given for word in words]


def _run(arguments, capsys):
    """Run a command, with a Ctrl-C after `PATIENCE`; return its result and processor time (s)."""
    before = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    started = time.process_time()
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        return call(arguments, capsys), time.process_time() - started
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_whatever_is_typed(world, picked, tmp_path, capsys, monkeypatch, request):
    for module in pkgutil.walk_packages(tomopicker.__path__, "tomopicker."):
        if module.name.endswith("__main__"):
            continue
        importlib.import_module(module.name)  # An interrupted import would leave a partial module for the next run.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # Background jobs of a shell ignore SIGINT.
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    rng = random.Random(SEED)
    source, place = tmp_path / "source", tmp_path / "place"
    source.mkdir()
    paths = _files(world, picked, source)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    commands = typer.main.get_command(app).commands
    whole = (source / "TS_1.mrc").read_bytes()
    ends, run = time.monotonic() + SECONDS, 0
    faults: list[str] = []
    while run < RUNS or time.monotonic() < ends:
        run += 1
        if place.exists():
            shutil.rmtree(place)
        shutil.copytree(source, place)
        monkeypatch.chdir(place)
        name = rng.choice(sorted(commands))
        arguments = [name, *_arguments(rng, commands[name], paths)]
        typed = " ".join(map(repr, arguments))
        try:
            result, seconds = _run(arguments, capsys)
        except Exception as error:  # A bug: `run` passes it on, and Python would print a traceback.
            place_of = traceback.extract_tb(error.__traceback__)[-1]
            faults.append(f"{typed}: {type(error).__name__}: {error} ({place_of.filename}:{place_of.lineno})")
            continue
        if result.code not in EXIT_CODES or "Traceback" in result.err or "please report it" in result.err:
            faults.append(f"{typed}: {result}")
        if result.code in {1, 2} and not result.errors and "Usage" not in result.out:
            faults.append(f"{typed}: exit code {result.code} without a reason: {result}")
        if seconds > HANG:
            faults.append(f"{typed}: {seconds:.0f} s")
        if (source / "TS_1.mrc").read_bytes() != whole or (place / "TS_1.mrc").read_bytes() != whole:
            faults.append(f"{typed}: an input was changed")
    assert not faults, "\n".join(faults)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < MOST_MEMORY
