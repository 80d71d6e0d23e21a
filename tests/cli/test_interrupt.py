"""Ctrl-C: training resumes from its checkpoint, and finished tomograms are kept."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

import tomopicker
from tests.interruption import signal_in_step
from tomopicker.training.checkpoint import CHECKPOINT, load_tensors


def start(arguments):
    environment = {**os.environ, "PYTHONPATH": str(Path(tomopicker.__file__).parent.parent), "OMP_NUM_THREADS": "1"}
    often = "import tomopicker.training.loop as t; t.SAVE_SECONDS = 0.2; from tomopicker.cli import main; main()"
    command = [sys.executable, "-c", often, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition):
    deadline = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_training_resumes(world, cli, tmp_path):
    """A real process is stopped by SIGTERM and resumed; repeated Ctrl-C has the same effect."""
    config = {**yaml.safe_load(world.config.read_text(encoding="utf-8")), "expected_particles": 8}
    config["training"] = {"steps": 20000}
    (tmp_path / "long.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    output = tmp_path / "out" / "m.model"
    arguments = world.train_arguments(output, "--config", tmp_path / "long.yaml")
    process = start(arguments)
    checkpoint = output.with_name("m.model.train.ckpt")
    wait_for(checkpoint.exists)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("tomopicker: stopped; repeat the command with --resume")
    assert [path.name for path in output.parent.iterdir()] == ["m.model.train.ckpt"]

    refused = cli(*arguments, "--resume", "--seed", "5")
    assert (refused.code, len(refused.errors)) == (1, 1)
    assert "seed 0, not 5" in refused.err

    before = load_tensors(checkpoint, CHECKPOINT)[1]["step"]
    with pytest.MonkeyPatch.context() as patch:
        signal_in_step(patch, 3, signal.SIGINT, signal.SIGINT)
        assert cli(*arguments, "--resume").code == 130
    assert [path.name for path in output.parent.iterdir()] == ["m.model.train.ckpt"]
    assert load_tensors(checkpoint, CHECKPOINT)[1]["step"] == before + 3


def test_a_resumed_run_ends_as_an_unbroken_one(world, cli, tmp_path):
    output = tmp_path / "m.model"
    with pytest.MonkeyPatch.context() as patch:
        signal_in_step(patch, 30, signal.SIGINT, signal.SIGINT)
        stopped = cli(*world.train_arguments(output))
    assert stopped.code == 130
    assert "--resume" in stopped.err
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert left and "m.model" not in left

    refused = cli(*world.train_arguments(output))
    assert refused.code == 2
    assert "--resume to continue it, or --overwrite to start again" in refused.err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == left

    resumed = cli(*world.train_arguments(output, "--resume"))
    assert resumed.code == 0, resumed.err
    assert [path.name for path in tmp_path.iterdir()] == ["m.model"]
    assert same_weights(world.model, output)


def same_weights(one, other):
    from safetensors.numpy import load_file

    first, second = load_file(one), load_file(other)
    return first.keys() == second.keys() and all((first[name] == second[name]).all() for name in first)


class Killed(BaseException):
    """Not caught by any handler, like ``kill -9``."""


def kill_at(monkeypatch, write):
    """Kill before the n-th rename of a temporary file; no rename happens afterwards."""
    replace, writes = Path.replace, []

    def killed(self, target):
        writes.append(target)
        if write is not None and len(writes) >= write:
            raise Killed(target)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    return writes


def test_a_training_killed_at_any_write_resumes_exactly(world, cli, tmp_path, monkeypatch):
    """Also while writing the periodic checkpoint, and the model itself."""
    from tomopicker.training import loop

    monkeypatch.setattr(loop, "SAVE_SECONDS", 0)
    output = tmp_path / "m.model"
    for write in (7, 1, 26, 11):
        with pytest.MonkeyPatch.context() as patch:
            kill_at(patch, write)
            with pytest.raises(Killed):
                cli(*world.train_arguments(output, "--resume"))
        assert not output.exists()
    resumed = cli(*world.train_arguments(output, "--resume"))
    assert resumed.code == 0, resumed.err
    assert same_weights(world.model, output)


def test_a_run_killed_after_its_model_was_written_is_finished(world, cli, tmp_path):
    output, left = tmp_path / "m.model", tmp_path / "m.model.train.ckpt"
    left.write_bytes(b"old")
    os.utime(left, ns=(1, 1))
    output.write_bytes(world.model.read_bytes())
    plan = cli(*world.train_arguments(output, "--resume", "--dry-run"))
    assert plan.code == 0 and left.exists()
    result = cli(*world.train_arguments(output, "--resume"))
    assert (result.code, result.err) == (0, "")
    assert "already finished" in result.out
    assert [path.name for path in tmp_path.iterdir()] == ["m.model"]


def test_overwrite_removes_the_checkpoints_of_this_model_alone(world, cli, tmp_path):
    stale, others = tmp_path / "m.model.fold7.ckpt", tmp_path / "m.model.v2.train.ckpt"
    stale.write_bytes(b"old")
    others.write_bytes(b"another's")
    wrong = cli(*world.train_arguments(tmp_path / "m.model", "--overwrite", "--negatives", "nowhere.csv"))
    assert wrong.code in {1, 2}
    assert stale.exists()  # An invalid command removes nothing.
    result = cli(*world.train_arguments(tmp_path / "m.model", "--steps", "2", "--overwrite"))
    assert result.code == 0
    assert f"{stale}: from an interrupted run, removed; --resume would have continued it" in result.err
    assert {path.name for path in tmp_path.iterdir()} == {"m.model", others.name}


def test_pretraining_does_not_drop_a_checkpoint_either(cli, tmp_path):
    left = tmp_path / "w.safetensors.ckpt"
    left.write_bytes(b"old")
    arguments = ["pretrain", "--output", tmp_path / "w.safetensors", "--steps", "1", "--classes", "2", "--workers", "0"]
    refused = cli(*arguments)
    assert (refused.code, len(refused.errors)) == (2, 1)
    assert left.read_bytes() == b"old"


def test_picking_killed_at_any_write_loses_and_doubles_nothing(world, picked, cli, tmp_path, monkeypatch):
    """First without existing picks, then over picks with another threshold; killed repeatedly until it finishes."""
    from tomopicker import api

    pick, kept = api.pick, {}

    def once(tomogram, model, *, selection, **options):
        """Tomograms are scored once, since only writing is tested."""
        key = (tomogram.name, str(selection))
        if key not in kept:
            kept[key] = pick(tomogram, model, selection=selection, **options)
        return kept[key]

    monkeypatch.setattr("tomopicker.cluster.pick_tomogram.pick", once)
    arguments = ["pick", world.tomogram("TS_2"), "-m", world.model]
    for number, more in enumerate(([], ["--max-particles", "3"])):
        if number:
            arguments.insert(1, world.tomogram("TS_1"))
            assert cli(*arguments, "-o", tmp_path / "before").code == 0
        whole = tmp_path / f"whole{number}"
        assert cli(*arguments, *more, "-o", whole).code == 0
        with pytest.MonkeyPatch.context() as patch:
            writes = kill_at(patch, None)
            cli(*arguments, *more, "-o", tmp_path / f"counted{number}")
        for write in range(1, len(writes) + 1, number + 1):
            folder = tmp_path / f"killed{number}_{write}"
            if number:
                assert cli(*arguments, "-o", folder).code == 0
            with pytest.MonkeyPatch.context() as patch:
                kill_at(patch, write)
                with pytest.raises(Killed):
                    cli(*arguments, *more, "-o", folder, "--overwrite")
            again = cli(*arguments, *more, "-o", folder)
            if again.code == 2:  # Killed before any change.
                assert same_files(folder, tmp_path / "before")
                again = cli(*arguments, *more, "-o", folder, "--overwrite")
            assert again.code == 0, again.err
            assert same_files(folder, whole), write


def test_a_cut_killed_at_any_write_is_not_taken_for_done(world, picked, cli, tmp_path, monkeypatch):
    arguments = ["pick", world.tomogram("TS_1"), world.tomogram("TS_2"), "-m", world.model]
    whole = tmp_path / "whole"
    shutil.copytree(picked, whole)
    cut = ["--max-particles", "3"]
    with pytest.MonkeyPatch.context() as patch:
        writes = kill_at(patch, None)
        assert cli("threshold", whole, *cut).code == 0
    for write in range(1, len(writes) + 1):
        folder = tmp_path / f"killed{write}"
        shutil.copytree(picked, folder)
        with pytest.MonkeyPatch.context() as patch:
            kill_at(patch, write)
            with pytest.raises(Killed):
                cli("threshold", folder, *cut)
        if write > 1:
            for more in ([], cut):
                refused = cli(*arguments, *more, "-o", folder)
                assert refused.code == 2 and "set another threshold for these with" in refused.err
        assert cli("threshold", folder, *cut).code == 0
        assert same_files(folder, whole)
        assert "done already" in cli(*arguments, *cut, "-o", folder).out


def same_files(folder, other):
    """Return True if two folders hold the same picks under the same names, ignoring times in headers and records."""
    lists = [
        {
            str(path.relative_to(each)): path.read_text(encoding="utf-8").replace(str(each), "").partition("\n")[2]
            for path in each.rglob("*")
            if path.suffix in {".csv", ".star"}
        }
        for each in (folder, other)
    ]
    return lists[0] == lists[1] and {path.name for path in folder.iterdir()} == {path.name for path in other.iterdir()}


def test_finished_tomograms_stay(world, cli, tmp_path, monkeypatch):
    from tomopicker import api

    pick = api.pick

    def stop_at_the_second(tomogram, *arguments, **flags):
        if tomogram.name == "TS_2":
            raise KeyboardInterrupt
        return pick(tomogram, *arguments, **flags)

    monkeypatch.setattr("tomopicker.cluster.pick_tomogram.pick", stop_at_the_second)
    arguments = ["pick", world.tomogram("TS_1"), world.tomogram("TS_2"), "-m", world.model, "-o", tmp_path]
    stopped = cli(*arguments)
    assert stopped.code == 130
    assert "finished tomograms are kept" in stopped.err
    assert {"TS_1.csv", "picks.csv", "picks.json"} <= {path.name for path in tmp_path.iterdir()}
    assert not (tmp_path / "TS_2.csv").exists()
    monkeypatch.undo()
    again = cli(*arguments)
    assert "TS_1: done already" in again.out
    assert "TS_2:" in again.out
