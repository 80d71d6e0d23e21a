"""The command, on the paper's experiment: a miniature tree of EMPIAR-10988's layout, made by the simulator."""

import json
import shutil

import pytest

from tomopicker.benchmark.dataset import open_datasets
from tomopicker.benchmark.empiar import empiar_10988
from tomopicker.errors import UsageError


def test_the_protocol_is_the_papers(empiar):
    protocol = empiar_10988(empiar)
    assert protocol.clicks == (100,)
    assert len(protocol.seeds) == 3
    assert protocol.particle_diameter == pytest.approx(24 * 13.48)
    assert {"paper-pn", "paper-pu", "paper-kl"} <= {row.name for row in protocol.rows}
    opened = open_datasets(protocol.model_copy(update={"clicks": (5,)}))
    roles = {half: {name: data.role(name) for name in data.tomograms} for half, data in opened.items()}
    assert roles == {
        "VPP": {"TS_0001": "training", "TS_0002": "validation", "TS_0003": "test"},
        "DEF": {"TS_029": "training", "TS_030": "validation", "TS_034": "test"},
    }
    assert len(opened["DEF"].truth["TS_034"]) > 5


def test_the_command_runs_it(empiar, tmp_path, command):
    """A hundred clicks are more than the miniature holds, and that is said before anything runs."""
    arguments = ["--empiar-10988", empiar, "--output", tmp_path / "out", "--method", "dog", "--seed", 0]
    code, _, err = command(*arguments)
    assert code == 2
    assert "100 clicks cannot be drawn from" in err


def test_it_judges_both_halves(empiar, tmp_path, command, monkeypatch):
    monkeypatch.setattr("tomopicker.benchmark.empiar.CLICKS", 6)
    arguments = ["--empiar-10988", empiar, "--output", tmp_path / "out", "--method", "dog", "--seed", 0]
    code, out, err = command(*arguments)
    assert (code, err) == (0, "")
    assert "2 of 2 runs are done" in out
    rows = json.loads((tmp_path / "out" / "benchmark.json").read_text())["rows"]
    names = {(row["dataset"], row["tomogram"]) for row in rows}
    assert ("DEF", "TS_034") in names
    assert ("VPP", "TS_0003") in names
    assert not any(tomogram == "TS_026" for _, tomogram in names)
    unseen = [row["f1"] for row in rows if row["tomogram"] == "Mean of the unseen" and row["matching"] == "one-to-one"]
    assert max(unseen) > 0.5, "positions and tomograms belong together"


def test_tables_alone(mini, tmp_path, command):
    path, output = mini.write(tmp_path / "p.yaml", clicks=[5, 8]), tmp_path / "out"
    code, _, err = command(path, "--output", output, "--report-only")
    assert code == 2
    assert "has no results of this protocol" in err
    assert command(path, "--output", output, "--clicks", 5)[0] == 0
    page = output / "benchmark.html"
    page.unlink()
    code, out, _ = command(path, "--output", output, "--report-only")
    assert code == 0
    assert "1 of 2 runs are done" in out
    assert page.exists()
    assert len(list((output / "runs").rglob("result.json"))) == 1


def test_lists_next_to_the_tomograms_serve_as_well(empiar, tmp_path):
    copy = tmp_path / "tree"
    shutil.copytree(empiar, copy)
    for file in (copy / "DEF" / "particle_lists").iterdir():
        file.rename(copy / "DEF" / "tomograms" / file.name)
    (copy / "DEF" / "tomograms" / "TS_029_labels.mrc").write_text("no tomogram")
    for file in (copy / "DEF" / "tomograms").glob("TS_026*"):
        file.unlink()
    opened = open_datasets(empiar_10988(copy).model_copy(update={"clicks": (5,)}))
    assert set(opened["DEF"].tomograms) == {"TS_029", "TS_030", "TS_034"}


@pytest.mark.parametrize(
    ("missing", "said"),
    [("VPP/tomograms", "the folder that has VPP and DEF"), ("DEF/particle_lists", "particle lists")],
)
def test_another_layout_is_refused(empiar, tmp_path, missing, said):
    copy = tmp_path / "tree"
    shutil.copytree(empiar, copy)
    shutil.rmtree(copy / missing)
    with pytest.raises(UsageError, match=said):
        empiar_10988(copy)


def test_what_the_command_needs(command, tmp_path):
    code, _, err = command("--output", tmp_path)
    assert code == 2
    assert "PROTOCOL.yaml or --empiar-10988" in err
