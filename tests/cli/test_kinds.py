"""Two kinds on the command line: train, pick, threshold, check and evaluate."""

import json

import numpy as np
import pandas as pd
import pytest
import starfile

from tests.cli.conftest import DIAMETER, call, write_csv
from tomopicker.api import load_model
from tomopicker.io import read_table
from tomopicker.output.results import read_results

pytestmark = pytest.mark.in_full
"""All balls are alike, so either kind may win one."""


@pytest.fixture(scope="module")
def kinds(world, halves, tmp_path_factory):
    """A folder with a model trained on clicks of two kinds, and its picks."""
    folder = tmp_path_factory.mktemp("kinds")
    arguments = [
        "train", world.tomogram("TS_1"), "--picks", f"big={halves['ball']}", "--picks", f"small={halves['small']}",
        "-d", f"big={DIAMETER}", "-d", f"small={0.9 * DIAMETER}", "--config", world.config, "-o", folder / "two.model",
        "--device", "cpu", "--no-check",
    ]  # fmt: skip
    assert call(arguments) == 0
    assert call(["pick", world.tomograms, "-m", folder / "two.model", "-o", folder / "picks", "--device", "cpu"]) == 0
    return folder


def table(file):
    return pd.read_csv(file, dtype={"kind": str})


def test_the_model_was_trained_with_the_other_kind_as_negatives(kinds):
    model = load_model(kinds / "two.model")
    assert list(model.kinds) == ["big", "small"]
    assert [each.settings.particle_diameter for each in model.kinds.values()] == [DIAMETER, 0.9 * DIAMETER]
    assert [each.provenance["training"][0]["rejected"] for each in model.kinds.values()] == [3, 3]
    weights = [dict(each.network.named_parameters()) for each in model.kinds.values()]
    assert any(not (weights[0][name] == weights[1][name]).all() for name in weights[0])


def test_files_of_all_kinds_and_of_each(kinds):
    picks, record = kinds / "picks", json.loads((kinds / "picks" / "picks.json").read_text())
    every = table(picks / "picks.csv")
    assert set(every.columns) >= {"tomogram", "x", "y", "z", "score", "kind"}
    star = starfile.read(picks / "picks.star")
    assert (star["rlnClassNumber"] == star["kind"].map({"big": 1, "small": 2})).all()
    assert len(star) == len(every) > 0
    for kind in ("big", "small"):
        mine = table(picks / f"picks.{kind}.csv")
        assert (
            len(mine)
            == (every.kind == kind).sum()
            == sum(e["kinds"][kind]["picks"] for e in record["tomograms"].values())
        )
        assert (picks / f"TS_1.{kind}.star").exists() and (picks / f"relion5_import.{kind}.star").exists()
    entry = record["tomograms"]["TS_1"]
    assert entry["picks"] == sum(own["picks"] for own in entry["kinds"].values())
    assert len(table(picks / "candidates" / "TS_1.csv")) == entry["candidates"]


def test_the_report_shows_each_kind_at_its_own_size(kinds, cli, tmp_path):
    result = cli("report", kinds / "picks", "-o", tmp_path / "r.html")
    assert result.code == 0, result.err
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    (first, *_) = found = read_results(kinds / "picks").tomograms
    for each in found:
        for kind, cut in each.selected_kinds.items():
            assert f"<td>{each.name}</td><td>{kind}</td><td>{len(cut.picks)}</td>" in text
            assert f"{each.kinds[kind].threshold:.3f}" in text and each.kinds[kind].count is not None
    assert f"<div><b>{len(found)}</b>tomogram" in text
    assert f"big {DIAMETER:g} Å, small {0.9 * DIAMETER:g} Å" in text
    for kind, colour in (("big", "#39d98a"), ("small", "#ffb020")):
        assert f"{kind}: central sections" in text and f"{kind}: nearest of the same kind" in text
        assert f'stroke="{colour}"' in text
    above = [first.candidates_of(kind).scores > cut.threshold for kind, cut in first.selected_kinds.items()]
    assert sum(int(each.sum()) for each in above) == len(first.selected.picks)


def test_another_threshold_and_back(kinds, world):
    picks = kinds / "picks"
    before = {file.name: file.read_bytes() for file in picks.glob("*.csv")}
    assert call(["threshold", picks, "--max-particles", "1"]) == 0
    few = table(picks / "picks.csv")
    assert (few.groupby(["tomogram", "kind"]).size() == 1).all()
    assert call(["threshold", picks]) == 0
    assert {file.name: file.read_bytes() for file in picks.glob("*.csv")} == before
    assert call(["pick", world.tomograms, "-m", kinds / "two.model", "-o", picks, "--device", "cpu"]) == 0


def test_judged_by_kind(kinds, world, cli, tmp_path):
    lines = [f"TS_1,{','.join(map(str, row))},{'big' if i % 2 else 'other'}" for i, row in
             enumerate(read_table(world.truth / "TS_1.csv").coordinates.tolist())]  # fmt: skip
    truth = tmp_path / "truth.csv"
    truth.write_text("tomogram,x,y,z,particle_type\n" + "\n".join(lines) + "\n")
    result = cli("evaluate", kinds / "picks", "--truth", truth, "--json", tmp_path / "e.json")
    assert result.code == 0, result.err
    assert "no truth is of small" in result.err
    judged = json.loads((tmp_path / "e.json").read_text())
    assert list(judged["kinds"]) == ["big"]
    counts = judged["confusion"]["all"]
    assert set(counts) == {"big", "other", "(no particle)"}
    assert sum(counts["big"].values()) + sum(counts["other"].values()) == len(lines)
    picks = table(kinds / "picks" / "TS_1.csv")
    for kind in ("big", "small"):
        assert sum(row[kind] for row in counts.values()) == (picks.kind == kind).sum()
    assert counts["big"]["big"] == judged["kinds"]["big"]["mean"]["tp"]
    truth.write_text(truth.read_text().replace("big", "x"))
    assert "none is in both" in cli("evaluate", kinds / "picks", "--truth", truth).errors[0]


def test_checked_by_kind(kinds, world, cli, tmp_path):
    arguments = ["check", kinds / "picks" / "picks.csv", world.tomogram("TS_1"), "-o", tmp_path / "c.png"]
    result = cli(*arguments, "-d", f"big={DIAMETER}", "-d", 90)
    assert "big, 100 Å:" in result.out and "small, 90 Å:" in result.out
    assert sorted(file.name for file in tmp_path.iterdir()) == ["c.big.png", "c.small.png"]
    assert "how large is small" in cli(*arguments, "-d", f"big={DIAMETER}").errors[0]


def test_a_column_names_kinds_and_one_diameter_serves_all(kinds, world, cli, tmp_path):
    rows = read_table(world.clicks).coordinates.tolist()
    clicks = write_csv(tmp_path / "TS_1.csv", [])
    clicks.write_text("x,y,z,kind\n" + "".join(f"{x},{y},{z},{'ab'[i % 2]}\n" for i, (x, y, z) in enumerate(rows)))
    arguments = ["train", world.tomogram("TS_1"), "--picks", clicks, "--config", world.config, "-o", tmp_path / "m"]
    result = cli(*arguments, "-d", DIAMETER, "--dry-run")
    assert "a: 3 clicks" in result.out and "b: 3 clicks" in result.out, result.err
    assert "3 negatives" in " ".join(result.out.split())
    for bad, what in (
        (["-d", "a=100", "-d", "c=90"], "c=90: is of no kind"),
        (["-d", "a=100"], "how large is b"),
        (["-d", "a=100", "-d", "a=90"], "given twice"),
        (["-d", "a=x"], "'x' is not a number"),
        (["-d", "a=0"], "a=0 is invalid"),
        (["-d", "100", "--expected-particles", "9"], "several kinds"),
    ):
        assert what in cli(*arguments, *bad).errors[0]
    one = cli(*arguments, "-d", "a=100", "--class", "a", "--dry-run")
    assert "3 clicks" in one.out and one.code == 0, one.err


def test_a_tomogram_named_as_the_files_of_a_kind_is_refused(kinds, world, cli, tmp_path):
    odd = tmp_path / "TS_1.big.mrc"
    odd.write_bytes(world.tomogram("TS_1").read_bytes())
    result = cli("pick", odd, "-m", kinds / "two.model", "-o", tmp_path / "picks", "--device", "cpu")
    assert result.code == 1
    assert "would hide those of big" in result.err


def test_a_run_of_two_kinds_is_resumed(kinds, world, cli, tmp_path):
    """Stopped while training the second kind: its checkpoints are distinguished from those of another output."""
    from tomopicker.pipeline.resume import checkpoints

    names = ["m.kind-big.train.ckpt", "m.kind-small.round2.ckpt", "m.train.ckpt", "m.v2.train.ckpt", "m2.train.ckpt"]
    for name in names:
        (tmp_path / name).touch()
    assert [path.name for path in checkpoints(tmp_path / "m")] == names[:3]


def test_positions_are_those_of_the_records(kinds):
    every = table(kinds / "picks" / "picks.csv")
    for name in every.tomogram.unique():
        mine = every[every.tomogram == name]
        away = np.linalg.norm(
            mine[["x", "y", "z"]].to_numpy()[:, None] - mine[["x", "y", "z"]].to_numpy()[None], axis=2
        )
        unlike = mine.kind.to_numpy()[:, None] != mine.kind.to_numpy()[None]
        assert not unlike.any() or away[unlike].min() >= 4.5, "half the smaller diameter, in voxels of 10 Å"


def test_one_kind_that_is_named_gives_the_plain_model(halves, world, tmp_path):
    """Naming the kind changes nothing else."""
    arguments = [
        "train",
        world.tomogram("TS_1"),
        "--config",
        world.config,
        "--steps",
        2,
        "--device",
        "cpu",
        "--no-check",
    ]
    clicks = halves["ball"]
    assert call([*arguments, "--picks", clicks, "-d", DIAMETER, "-o", tmp_path / "plain.model"]) == 0
    assert call([*arguments, "--picks", f"big={clicks}", "-d", f"big={DIAMETER}", "-o", tmp_path / "named.model"]) == 0
    plain, named = (load_model(tmp_path / name) for name in ("plain.model", "named.model"))
    assert not named.others and named.settings == plain.settings
    assert named.particle_scores == plain.particle_scores or named.particle_scores.mean == plain.particle_scores.mean
    weights = plain.network.state_dict()
    assert weights.keys() == named.network.state_dict().keys()
    assert all((weights[name] == tensor).all() for name, tensor in named.network.state_dict().items())


def test_kinds_in_closed_form(instant_kinds, world, cli, tmp_path):
    """The instant preset: one model of both kinds, and files of each."""
    model = load_model(instant_kinds)
    assert min(len(each.network.clicks) for each in model.kinds.values()) >= 3
    assert [each.provenance["training"][0]["rejected"] for each in model.kinds.values()] == [3, 3]
    assert min(len(each.network.rejected) for each in model.kinds.values()) >= 3, "found examples join them"
    picked = cli("pick", world.tomogram("TS_1"), "-m", instant_kinds, "-o", tmp_path / "picks", "--pictures")
    assert picked.code == 0, picked.err
    every = table(tmp_path / "picks" / "TS_1.csv")
    for kind in ("ball", "small"):
        mine = table(tmp_path / "picks" / f"TS_1.{kind}.csv")
        assert len(mine) == (every.kind == kind).sum() and (mine.kind == kind).all()
        assert (tmp_path / "picks" / f"TS_1.{kind}.png").exists()
    (result,) = read_results(tmp_path / "picks").tomograms
    assert len(result.selected.picks) == len(every), "the report shows what was picked, kind by kind"
