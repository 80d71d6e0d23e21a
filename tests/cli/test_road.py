"""Work flow from clicks to picks, metrics and other formats."""

import csv
import hashlib
import json
import re
import shutil
from dataclasses import replace

import mrcfile
import numpy as np
import pytest

from tests.cli.conftest import VOXEL_SIZE
from tomopicker import __version__, io
from tomopicker.output import figures
from tomopicker.training.checkpoint import load_model, save_model


def rows(path):
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def undated(path):
    return [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


def test_training_says_what_it_learnt_and_leaves_one_file(world, cli, tmp_path):
    output = tmp_path / "new" / "balls.model"
    result = cli(*world.train_arguments(output, "--steps", "3", "--expected-particles", "8"))
    assert result.code == 0, result.err
    for words in ("6 clicks", "are labelled as particle (π)", str(output), "Next: tomopicker pick"):
        assert words in result.out
    assert [path.name for path in output.parent.iterdir()] == ["balls.model"]


def test_flags_win_over_the_settings_file(world, cli, tmp_path):
    from tomopicker.api import load_model

    assert cli(*world.train_arguments(tmp_path / "m", "--steps", "3", "--seed", "9", "--loss", "pn")).code == 0
    settings = load_model(tmp_path / "m").settings
    assert (settings.training.steps, settings.seed, settings.objective.loss) == (3, 9, "pn")
    assert settings.network.channels == (8, 12)


def test_what_picking_writes(world, picked):
    names = {path.name for path in picked.iterdir()}
    assert names == {
        "TS_1.star", "TS_1.csv", "TS_2.star", "TS_2.csv",
        "picks.star", "picks.csv", "picks.json", "relion5_import.star", "candidates", "records", "run.json", "pick.log",
    }  # fmt: skip
    merged = rows(picked / "picks.csv")
    assert list(merged[0]) == ["tomogram", "x", "y", "z", "score"]
    assert merged == rows(picked / "TS_1.csv") + rows(picked / "TS_2.csv")
    frames = {name: io.open_tomogram(world.tomogram(name)).frame for name in ("TS_1", "TS_2")}
    star = io.read_picks(picked / "picks.star", frames)
    assert len(star) == len(merged)
    assert np.allclose(star.positions[0] / VOXEL_SIZE, [float(merged[0][axis]) for axis in "xyz"], atol=1e-3)


def test_provenance(world, picked):
    record = json.loads((picked / "picks.json").read_text(encoding="utf-8"))
    assert record["tomopicker"] == __version__
    assert record["model"]["file"] == str(world.model)
    assert record["model"]["sha256"] == hashlib.sha256(world.model.read_bytes()).hexdigest()
    assert record["model"]["settings"]["network"]["channels"] == [8, 12]
    entry = record["tomograms"]["TS_2"]
    assert entry["path"] == str(world.tomogram("TS_2"))
    assert entry["shape_zyx"] == [32, 56, 48]
    assert entry["voxel_size_angstrom"] == VOXEL_SIZE
    assert 0 < entry["threshold"] < 1
    assert entry["candidates"] == len(rows(picked / "candidates" / "TS_2.csv")) >= entry["picks"]
    assert set(entry["expected"]) == {"particles", "precision", "recall", "f1"}
    assert entry["picks"] == len(rows(picked / "TS_2.csv"))
    assert entry["status"] == "done"
    assert entry["seconds"] > 0


def test_a_rerun_skips_adds_and_gives_the_same_merged_files(world, cli, tmp_path, picked):
    arguments = ["-m", world.model, "-o", tmp_path]
    assert cli("pick", world.tomogram("TS_2"), *arguments).code == 0
    before = (tmp_path / "TS_2.csv").stat().st_mtime_ns
    result = cli("pick", world.tomogram("TS_1"), world.tomogram("TS_2"), *arguments)
    assert result.code == 0
    assert "TS_2: done already, skipped" in result.out
    assert (tmp_path / "TS_2.csv").stat().st_mtime_ns == before
    for name in ("picks.csv", "picks.star"):
        assert undated(tmp_path / name) == undated(picked / name)
    assert "skipped" not in cli("pick", world.tomogram("TS_2"), *arguments, "--overwrite").out
    (tmp_path / "TS_2.star").unlink()
    assert "skipped" not in cli("pick", world.tomogram("TS_2"), *arguments).out


def test_a_folder_belongs_to_one_job(world, cli, tmp_path):
    arguments = ["pick", world.tomogram("TS_2"), "-m", world.model, "-o", tmp_path]
    assert cli(*arguments).code == 0
    result = cli(*arguments, "--threshold", "0.9")
    assert (result.code, len(result.errors)) == (2, 1)
    assert "--overwrite" in result.err
    assert cli(*arguments, "--threshold", "0.9", "--overwrite").code == 0
    assert all(float(row["score"]) > 0.9 for row in rows(tmp_path / "picks.csv"))


def test_one_bad_tomogram_among_good_ones(world, cli, tmp_path):
    bad = tmp_path / "bad.mrc"
    bad.write_bytes(b"MAP " * 500)
    missing = tmp_path / "missing.mrc"
    good = [world.tomogram("TS_1"), world.tomogram("TS_2")]
    result = cli("pick", good[0], bad, missing, good[1], "-m", world.model, "-o", tmp_path / "out")
    assert result.code == 1
    assert len(result.errors) == 2
    assert "2 of 4 tomograms failed" in result.out
    record = json.loads((tmp_path / "out" / "picks.json").read_text(encoding="utf-8"))["tomograms"]
    assert {name: entry["status"] for name, entry in record.items()} == {
        "TS_1": "done",
        "bad": "failed",
        "TS_2": "done",
    }
    assert str(bad) in record["bad"]["error"]
    assert {row["tomogram"] for row in rows(tmp_path / "out" / "picks.csv")} == {"TS_1", "TS_2"}


def test_no_picks_are_empty_files_with_a_warning(world, cli, tmp_path):
    arguments = ["pick", world.tomogram("TS_1"), "-m", world.model, "-o", tmp_path / "out", "--threshold", "1"]
    result = cli(*arguments)
    assert result.code == 0
    assert "warning" in result.err
    assert (tmp_path / "out" / "TS_1.csv").read_text(encoding="utf-8").strip() == "tomogram,x,y,z,score"
    assert "rlnCenteredCoordinateXAngst" in (tmp_path / "out" / "picks.star").read_text(encoding="utf-8")
    assert "skipped" in cli(*arguments).out
    judged = cli("evaluate", tmp_path / "out", "--truth", world.truth)
    assert judged.code == 0, judged.err
    assert "0.000" in judged.out


def test_mask_scores_and_caps(world, cli, tmp_path):
    mask = np.zeros((32, 56, 48), dtype=np.int8)
    mask[:, :, 24:] = 1
    io.write_mrc(tmp_path / "masks" / "TS_1_mask.mrc", mask, 1.0)
    arguments = ["--threshold", "0", "--max-particles", "3", "--min-distance", "150", "--save-scores"]
    masked = ["--mask", tmp_path / "masks", "--star-format", "warp"]
    result = cli("pick", world.tomogram("TS_1"), "-m", world.model, "-o", tmp_path / "out", *arguments, *masked)
    assert result.code == 0, result.err
    found = rows(tmp_path / "out" / "TS_1.csv")
    assert 0 < len(found) <= 3
    assert all(float(row["x"]) >= 23 for row in found)
    assert "TS_1.tomostar" in (tmp_path / "out" / "TS_1.star").read_text(encoding="utf-8")
    assert not (tmp_path / "out" / "relion5_import.star").exists()
    with mrcfile.open(tmp_path / "out" / "TS_1_scores.mrc") as scores:
        assert scores.data.shape == (32, 56, 48)
        assert float(scores.voxel_size.x) == VOXEL_SIZE
        assert 0 <= scores.data.min() < scores.data.max() <= 1


def test_evaluate_a_folder(world, cli, picked, tmp_path):
    result = cli("evaluate", picked, "--truth", world.truth, "--json", tmp_path / "figures.json", "--tolerance", "5vox")
    assert result.code == 0, result.err
    assert "highest" in result.out
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert set(figures["tomograms"]) == {"TS_1", "TS_2"}
    assert figures["tomograms"]["TS_1"]["truth"] == 8
    assert figures["tomograms"]["TS_1"]["f1"] > 0.5
    cli(
        "evaluate",
        picked,
        "--truth",
        world.truth,
        "--json",
        tmp_path / "a.json",
        "--tolerance",
        "50A",
        "--exclude",
        "TS_1",
    )
    again = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert set(again["tomograms"]) == {"TS_2"}
    for key in ("tp", "f1", "position_error_mean"):
        assert again["tomograms"]["TS_2"][key] == pytest.approx(figures["tomograms"]["TS_2"][key])


def test_evaluate_plain_files_in_voxels(world, cli, tmp_path):
    truth = world.truth / "TS_2.csv"
    result = cli("evaluate", truth, "--truth", truth, "--json", tmp_path / "j.json")
    assert result.code == 0, result.err
    assert json.loads((tmp_path / "j.json").read_text(encoding="utf-8"))["mean"]["f1"] == 1
    assert cli("evaluate", truth, "--truth", truth, "--tolerance", "100A").code == 2
    assert cli("evaluate", truth, "--truth", truth, "--tolerance", "100A", "--voxel-size", "10").code == 0


def test_picks_without_truth_are_left_out_with_a_note(world, cli, picked):
    result = cli("evaluate", picked, "--truth", world.truth / "TS_2.csv", "--matching", "paper")
    assert result.code == 0, result.err
    assert "TS_1" in result.err
    assert "TS_1" not in result.out


def test_info(world, cli, tmp_path):
    volume, _ = np.full((16, 18, 20), 2.0, dtype=np.float32), None
    volume[3, 4, 5] = np.nan
    io.write_mrc(tmp_path / "odd.mrc", volume, 4.0)
    (tmp_path / "bad.mrc").write_bytes(b"x" * 3000)
    result = cli("info", world.tomograms, tmp_path / "odd.mrc", tmp_path / "bad.mrc")
    assert result.code == 1
    assert len(result.errors) == 1
    for words in ("TS_1", "48 × 56 × 32", "10 Å", "480 × 560 × 320", "float32", "20 × 18 × 16"):
        assert words in result.out
    assert "1 voxels are NaN" in result.err


def test_info_goes_on_after_whatever_one_file_does(world, cli, monkeypatch):
    from tomopicker import moments as module

    found = module.statistics

    def failing(tomogram):
        if tomogram.name == "TS_1":
            raise MemoryError
        return found(tomogram)

    monkeypatch.setattr(module, "statistics", failing)
    result = cli("info", world.tomograms)
    assert (result.code, len(result.errors)) == (1, 1) and "TS_1.mrc: out of memory" in result.err
    assert "TS_2" in result.out and "TS_3" in result.out


def test_statistics_are_those_of_all_voxels(world, monkeypatch):
    from tomopicker import moments as module

    monkeypatch.setattr(module, "SLAB_BYTES", 60000)
    tomogram = io.open_tomogram(world.tomogram("TS_1"))
    found, all_of_it = module.statistics(tomogram), tomogram.read().astype(np.float64)
    assert (found.minimum, found.maximum, found.not_finite) == (all_of_it.min(), all_of_it.max(), 0)
    assert (found.mean, found.sd) == pytest.approx((all_of_it.mean(), all_of_it.std()))


def test_convert_there_and_back(world, cli, picked, tmp_path):
    table = io.read_table(picked / "picks.csv")
    for name in ("relion5", "relion4", "relion3", "warp"):
        star, back = tmp_path / f"{name}.star", tmp_path / f"{name}.csv"
        assert cli("convert", picked / "picks.csv", star, "--to", name, "--tomograms", world.tomograms).code == 0
        assert cli("convert", star, back, "--tomograms", world.tomograms).code == 0
        again = io.read_table(back)
        assert np.allclose(again.coordinates, table.coordinates, atol=2e-3)
        assert np.allclose(again.scores, table.scores, rtol=1e-5)
        assert again.tomograms.tolist() == table.tomograms.tolist()


def test_convert_refuses_to_guess(world, cli, picked, tmp_path):
    source = shutil.copy(picked / "TS_1.csv", tmp_path)  # Without the record, which contains both.
    for flags, wanted in [
        ([], "--shape"), (["--shape", "48,56,32"], "--voxel-size"), (["--to", "warp"], "--voxel-size"),
    ]:  # fmt: skip
        result = cli("convert", source, tmp_path / "o.star", *flags)
        assert (result.code, len(result.errors)) == (2, 1)
        assert wanted in result.err
    assert cli("convert", source, tmp_path / "o.star", "--shape", "48,56,32", "--voxel-size", "10").code == 0
    assert cli("convert", source, tmp_path / "o.star", "--shape", "48,56,32", "--voxel-size", "10").code == 2
    by_file = cli("convert", source, tmp_path / "p.star", "--tomograms", world.tomogram("TS_1"))
    assert by_file.code == 0
    assert undated(tmp_path / "o.star") == undated(tmp_path / "p.star")


def test_dry_run_writes_nothing(world, cli, tmp_path):
    output = tmp_path / "folder" / "m.model"
    result = cli(*world.train_arguments(output, "--dry-run", "--expected-particles", "20"))
    assert result.code == 0, result.err
    for words in ("6 clicks", "48 × 56 × 32", "10 voxels at 10 Å", "16³", "8-12", "40 steps", "(π'')"):
        assert words in result.out
    assert not list(tmp_path.iterdir())


def test_dry_run_and_training_say_the_same_of_the_priors(world, cli, tmp_path):
    """Without a lamella: the same text, and the same π apart from ignored shells."""
    plan = cli(*world.train_arguments(tmp_path / "m", "--dry-run", "--mask", "none"))
    words = re.search(r"labels +about (.+ particle \(π\))", plan.out).group(1)
    trained = cli(*world.train_arguments(tmp_path / "m", "--mask", "none", "--steps", 2))
    assert abs(_pi(trained.out) / _pi(words) - 1) < 0.1
    assert re.search(r"% .*", words).group(0) in trained.out


def _pi(text):
    return float(re.search(r"([\d.e-]+)% of the voxels are labelled", text).group(1))


def test_several_files_of_clicks_as_a_shell_lists_them(world, cli, tmp_path):
    first, second = world.truth / "TS_1.csv", world.truth / "TS_2.csv"
    arguments = ["train", world.tomogram("TS_1"), world.tomogram("TS_2"), "--picks", first, second]
    more = ["--particle-diameter", "100", "--config", world.config, "-o", tmp_path / "m", "--dry-run"]
    result = cli(*arguments, *more)
    assert result.code == 0, result.err
    assert result.out.count("8 clicks") == 2


@pytest.mark.parametrize("count", [("--expected-particles", "12"), ()])
def test_the_paper_preset(world, cli, tmp_path, count):
    config = tmp_path / "small.yaml"
    config.write_text("network: {channels: [4, 8]}\npatches: {size: 16}\ninference: {tile: 16}\n", encoding="utf-8")
    result = cli(
        "train", world.tomogram("TS_1"), "--picks", world.truth / "TS_1.csv", "-d", "100",
        "-o", tmp_path / "paper.model", "--preset", "paper", "--epochs", "2", *count,
        "--config", config,
        "--validation-tomogram", world.tomogram("TS_2"), "--validation-picks", world.truth / "TS_2.csv",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert ("A first network, with the PN loss, counts about" in result.out) == (not count)
    picks = tmp_path / "picks"
    result = cli("pick", world.tomogram("TS_3"), "-m", tmp_path / "paper.model", "-o", picks, "--threshold", "0.01")
    assert result.code == 0, result.err
    assert cli("evaluate", picks, "--truth", world.truth, "--matching", "paper").code == 0


def test_threshold_cuts_elsewhere_and_back(world, cli, tmp_path, picked):
    """Other picks from the same scores; the default threshold restores the original files."""
    for name in ("picks.json", "TS_1.csv", "TS_2.csv", "TS_1.star", "TS_2.star"):
        (tmp_path / name).write_bytes((picked / name).read_bytes())
    shutil.copytree(picked / "candidates", tmp_path / "candidates")
    result = cli("threshold", tmp_path, "--threshold", "0.01")
    assert result.code == 0, result.err
    most = rows(tmp_path / "picks.csv")
    assert len(most) == sum(len(rows(tmp_path / "candidates" / f"{name}.csv")) for name in ("TS_1", "TS_2"))
    assert cli("threshold", tmp_path, "--max-particles", "1").code == 0
    assert len(rows(tmp_path / "picks.csv")) == 2
    assert cli("threshold", tmp_path).code == 0
    assert rows(tmp_path / "picks.csv") == rows(picked / "picks.csv")
    assert not list(tmp_path.glob("*.png")), "none was there"
    result = cli("threshold", tmp_path, "--target-precision", "0.9", "--target-fdr", "0.1")
    assert (result.code, len(result.errors)) == (2, 1)
    result = cli("threshold", tmp_path / "candidates")
    assert (result.code, len(result.errors)) == (1, 1)


def test_pictures_show_the_picks_there_are(world, cli, tmp_path):
    """One picture per tomogram; other picks give another picture, or none if the tomogram is missing."""
    tomograms = [shutil.copy(world.tomogram(name), tmp_path / f"{name}.mrc") for name in ("TS_1", "TS_2")]
    out = tmp_path / "out"
    result = cli("pick", *tomograms, "-m", world.model, "-o", out, "--pictures", "--threshold", "0")
    assert result.code == 0, result.err
    pictures = {path.name: path.read_bytes() for path in out.glob("*.png")}
    assert set(pictures) == {"TS_1.png", "TS_2.png"}
    tomograms[1].unlink()
    (tmp_path / "TS_2.mrc").write_bytes(world.tomogram("TS_1").read_bytes()[:5000])
    result = cli("threshold", out, "--max-particles", "1")
    assert result.code == 0, result.err
    assert (out / "TS_1.png").read_bytes() != pictures["TS_1.png"]
    assert not (out / "TS_2.png").exists() and "TS_2.png: removed" in result.err
    assert cli("threshold", out, "--threshold", "0").code == 0
    assert (out / "TS_1.png").read_bytes() == pictures["TS_1.png"]
    assert cli("threshold", out, "--no-pictures").code == 0
    assert not list(out.glob("*.png"))


def test_a_picture_that_cannot_be_drawn_costs_no_picks(world, cli, tmp_path, monkeypatch):
    def failing(*given):
        raise ValueError("no font")

    monkeypatch.setattr(figures, "pick_figure", failing)
    result = cli("pick", world.tomogram("TS_2"), "-m", world.model, "-o", tmp_path, "--pictures")
    assert result.code == 0 and "TS_2.png: not drawn (no font)" in result.err
    assert (tmp_path / "picks.star").exists()


def test_what_is_doubtful_about_a_model_is_reported_wherever_it_picks(world, cli, tmp_path):
    model = load_model(world.model)
    assert model.warnings == ()
    doubts = ("the network hardly separates these particles from noise", "another doubt")
    save_model(tmp_path / "m", replace(model, warnings=doubts))
    assert load_model(tmp_path / "m").warnings == doubts
    for again in (False, True):
        result = cli("pick", world.tomogram("TS_1"), "-m", tmp_path / "m", "-o", tmp_path / "out")
        assert result.code == 0 and ("skipped" in result.out) == again
        for doubt in doubts:
            assert f"tomopicker: warning: {tmp_path / 'm'}: {doubt}" in result.err
    record = json.loads((tmp_path / "out" / "picks.json").read_text(encoding="utf-8"))
    assert record["model"]["warnings"] == list(doubts)
