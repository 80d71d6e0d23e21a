"""``tomopicker demo``, with smaller tomograms and a smaller network."""

import re

from tests.cli.conftest import TINY
from tomopicker.benchmark import demo
from tomopicker.presets import PRESETS


def test_the_demo_runs_the_commands_it_shows(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "SHAPE", (32, 80, 80))
    monkeypatch.setattr(demo, "TARGETS", 8)
    monkeypatch.setattr(demo, "CLICKS", 6)
    monkeypatch.setattr(demo, "NAMES", demo.NAMES[:2])
    monkeypatch.setitem(PRESETS, "default", {**TINY, "training": {"steps": 15}})
    monkeypatch.chdir(tmp_path)
    result = cli("demo")
    assert result.code == 0, result.err
    shown = re.findall(r"^\$ tomopicker (\w+) ", result.out, re.MULTILINE)
    assert shown == ["train", "pick", "evaluate"]
    assert "TS_demo_2" in result.out and "A ball of the particle's size" in result.out
    for name in ("ribosome.model", "picture.png", "picks/picks.star", "clicks_TS_demo_1.csv", "truth/TS_demo_2.csv"):
        assert (tmp_path / "demo" / name).exists(), name
    again = cli("demo")
    assert again.code == 2 and "--overwrite" in again.err
