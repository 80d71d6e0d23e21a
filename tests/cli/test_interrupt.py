"""Ctrl-C: training resumes from its checkpoint, finished tomograms stay."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

import tomopicker

pytestmark = pytest.mark.xdist_group("cli")


def start(arguments):
    environment = {**os.environ, "PYTHONPATH": str(Path(tomopicker.__file__).parent.parent), "OMP_NUM_THREADS": "1"}
    often = "import tomopicker.engine.train as t; t.SAVE_SECONDS = 0.2; from tomopicker.cli import main; main()"
    command = [sys.executable, "-c", often, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition):
    deadline = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_training_resumes(world, cli, tmp_path, number):
    config = {**yaml.safe_load(world.config.read_text(encoding="utf-8")), "expected_particles": 8}
    config["training"] = {"steps": 20000, "fold_steps": 0, "rounds": 1}
    (tmp_path / "long.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    output = tmp_path / "out" / "m.model"
    arguments = world.train_arguments(output, "--config", tmp_path / "long.yaml")
    process = start(arguments)
    checkpoint = output.with_name("m.model.train.ckpt")
    wait_for(checkpoint.exists)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("tomopicker: stopped; repeat the command with --resume")
    assert [path.name for path in output.parent.iterdir()] == ["m.model.train.ckpt"]

    refused = cli(*arguments, "--resume", "--seed", "5")
    assert (refused.code, len(refused.errors)) == (1, 1)

    again = start([*arguments, "--resume"])
    before = checkpoint.stat().st_mtime_ns
    wait_for(lambda: checkpoint.stat().st_mtime_ns > before)
    again.send_signal(number)
    again.communicate(timeout=60)
    assert again.returncode == 130
    assert [path.name for path in output.parent.iterdir()] == ["m.model.train.ckpt"]


def test_a_resumed_run_ends_as_an_unbroken_one(world, cli, tmp_path, monkeypatch):
    from tomopicker.engine import train as loop

    steps = 0
    advance = loop._advance

    def stop_on_the_way(*arguments):
        nonlocal steps
        steps += 1
        if steps == 30:
            raise KeyboardInterrupt
        return advance(*arguments)

    monkeypatch.setattr(loop, "_advance", stop_on_the_way)
    output = tmp_path / "m.model"
    stopped = cli(*world.train_arguments(output))
    assert stopped.code == 130
    assert "--resume" in stopped.err
    assert not output.exists()
    resumed = cli(*world.train_arguments(output, "--resume"))
    assert resumed.code == 0, resumed.err
    assert [path.name for path in tmp_path.iterdir()] == ["m.model"]

    from safetensors.numpy import load_file

    unbroken, mended = load_file(world.model), load_file(output)
    assert all((mended[name] == unbroken[name]).all() for name in unbroken)


def test_without_resume_old_checkpoints_go(world, cli, tmp_path):
    stale = tmp_path / "m.model.fold7.ckpt"
    stale.write_bytes(b"old")
    result = cli(*world.train_arguments(tmp_path / "m.model", "--steps", "2"))
    assert result.code == 0
    assert "--resume" in result.err
    assert not stale.exists()


def test_finished_tomograms_stay(world, cli, tmp_path, monkeypatch):
    from tomopicker import api

    pick = api.pick

    def stop_at_the_second(tomogram, *arguments, **flags):
        if tomogram.name == "TS_2":
            raise KeyboardInterrupt
        return pick(tomogram, *arguments, **flags)

    monkeypatch.setattr(api, "pick", stop_at_the_second)
    arguments = ["pick", world.tomogram("TS_1"), world.tomogram("TS_2"), "-m", world.model, "-o", tmp_path]
    stopped = cli(*arguments)
    assert stopped.code == 130
    assert "finished tomograms stay" in stopped.err
    assert {"TS_1.csv", "picks.csv", "picks.json"} <= {path.name for path in tmp_path.iterdir()}
    assert not (tmp_path / "TS_2.csv").exists()
    monkeypatch.undo()
    again = cli(*arguments)
    assert "TS_1: done already" in again.out
    assert "TS_2:" in again.out
