"""Review of real results: thresholds, gallery and report."""

import json
import re
import shutil

import pytest
from starlette.testclient import TestClient

from tests.cli.conftest import DIAMETER
from tests.studio.conftest import BASE, act
from tomopicker.output.picks_report import write_report
from tomopicker.output.results import open_picked, read_results
from tomopicker.studio.access import Access
from tomopicker.studio.app import create_app
from tomopicker.studio.context import Studio
from tomopicker.studio.listing import list_tomograms

KIND = {"kind": "ball"}


@pytest.fixture
def reviewed(world, picked, tmp_path):
    """A browser on a project with finished picks."""
    folder = tmp_path / "project"
    studio = Studio.open(list_tomograms([world.tomograms]), folder, None)
    studio.project.add_kind("ball", DIAMETER)
    (folder / "picks").mkdir()
    (folder / "picks" / "ball").symlink_to(picked)
    access = Access(secret="s" * 40)
    with TestClient(create_app(studio, access), base_url=BASE, headers={"origin": BASE}) as opened:
        opened.get(f"/?token={access.token}")
        yield opened


def test_status_and_convert_follow_another_threshold(cli, picked, world, tmp_path):
    folder = tmp_path / "picks"
    shutil.copytree(picked, folder)
    (before,) = re.findall(r"Median tomogram: (\d+\.?5?) picks", cli("status", folder).out)
    assert cli("threshold", folder, "--max-particles", 2, "--no-pictures").code == 0
    assert float(before) > 2 and "Median tomogram: 2 picks" in cli("status", folder).out
    # Shapes for RELION 5's centred coordinates are read from the record next to the files.
    for source, count in (("picks.csv", 4), ("TS_2.csv", 2)):
        result = cli("convert", folder / source, tmp_path / f"{source}.star")
        assert result.code == 0, result.err
        assert f"{count} picks of" in result.out
    shutil.copy(world.clicks, folder / "mine.csv")  # Not in this record.
    assert "--shape" in cli("convert", folder / "mine.csv", tmp_path / "mine.star").errors[0]


def test_another_threshold(reviewed, picked):
    own = reviewed.get("/api/review", params=KIND).json()
    assert [row["picks"] for row in own["tomograms"]] == [row["was"] for row in own["tomograms"]]
    few = reviewed.get("/api/review", params=KIND | {"threshold": 0.999}).json()["tomograms"]
    many = reviewed.get("/api/review", params=KIND | {"threshold": 0.02}).json()["tomograms"]
    assert sum(row["picks"] for row in few) <= sum(row["picks"] for row in many)
    assert many[0]["recall"] >= few[0]["recall"]
    result = read_results(picked).tomograms[0]
    assert many[0]["picks"] == int((result.candidates.scores > 0.02).sum())
    assert sum(own["histogram"]) == sum(row["candidates"] for row in own["tomograms"])


def test_the_gallery_is_sorted_by_doubt_and_remembers_answers(reviewed):
    page = reviewed.get("/api/gallery", params=KIND | {"order": "doubt", "count": 500}).json()
    doubt = [abs(item["probability"] - 0.5) for item in page["items"]]
    assert doubt == sorted(doubt) and page["total"] == len(doubt)
    halves = [
        reviewed.get("/api/gallery", params=KIND | {"order": "doubt", "start": start, "count": 3}).json()["items"]
        for start in (0, 3)
    ]
    assert halves[0] + halves[1] == page["items"][:6]
    best = reviewed.get("/api/gallery", params=KIND | {"order": "best"}).json()["items"][0]
    assert best["picked"] and best["listed"]
    act(reviewed, [(*best["position"], "negative")], tomogram=best["tomogram"])
    again = reviewed.get("/api/gallery", params=KIND | {"order": "best"}).json()
    assert (again["items"][0]["answer"], again["answered"]) == ("negative", 1)
    thumb = reviewed.get(
        "/api/thumb",
        params={"name": best["tomogram"], "diameter": 100, **dict(zip("xyz", best["position"], strict=True))},
    )
    assert thumb.content[:2] == b"\xff\xd8"


def test_what_was_rejected_is_not_saved_and_what_was_clicked_is(reviewed):
    before = reviewed.post("/api/save", json=KIND | {"program": "csv", "source": "picked"}).json()["picks"]
    best = reviewed.get("/api/gallery", params=KIND | {"order": "best"}).json()["items"][0]
    act(reviewed, [(*best["position"], "negative")], tomogram=best["tomogram"])
    told = reviewed.post("/api/save", json=KIND | {"program": "csv", "source": "picked"}).json()
    assert told["picks"] == before - 1
    act(reviewed, [(5.0, 5.0, 5.0)], tomogram="TS_1")
    assert reviewed.post("/api/save", json=KIND | {"program": "csv", "source": "picked"}).json()["picks"] == before


def test_a_report_is_one_page(cli, picked, tmp_path):
    target = tmp_path / "r.html"
    result = cli("report", picked, "--output", target)
    assert result.code == 0, result.err
    text = target.read_text(encoding="utf-8")
    results = read_results(picked)
    for result in results.tomograms:
        assert f"<td>{result.name}</td><td>{len(result.selected.picks)}</td>" in text
        assert f"{result.whole.threshold:.3f}" in text
    for part in ("Counts", "Scores", "Mean", "Nearest neighbours", "The most uncertain", "Slices", "Settings"):
        assert f"<h2>{part}</h2>" in text
    assert text.count("data:image/jpeg;base64,") > 8
    assert "http://" not in text and "https://" not in text and "<script" not in text
    assert len(text) < 3_000_000
    assert cli("report", tmp_path).code == 1
    assert cli("report", picked, "--output", tmp_path / "r.txt").code == 2


def test_a_report_shows_what_a_person_rejected(cli, picked, tmp_path):
    """One projection per position in the folder's tomograms; others are left out with a warning."""
    first = read_results(picked).tomograms[0]
    x, y, z = first.candidates.positions[0] / open_picked(picked, read_results(picked).record, first.name).voxel_size
    rejected = tmp_path / "rejected.csv"
    rejected.write_text(f"tomogram,x,y,z\n{first.name},{x},{y},{z}\nelsewhere,5,5,5\n", encoding="utf-8")
    result = cli("report", picked, "--negatives", rejected, "--output", tmp_path / "r.html")
    assert result.code == 0, result.err
    assert "elsewhere" in result.err
    gallery = (tmp_path / "r.html").read_text(encoding="utf-8").split("Rejected by a person")[1].split("<h")[0]
    assert gallery.count("<figure>") == 1 and "<b>" not in gallery and first.name in gallery
    assert "Rejected by a person" not in write_report(picked, tmp_path / "plain.html").read_text(encoding="utf-8")


def test_a_report_without_its_tomograms(picked, tmp_path):
    """Names are escaped, and missing files are reported."""
    folder = tmp_path / "<i>moved"
    shutil.copytree(picked, folder)
    record = json.loads((folder / "picks.json").read_text())
    for entry in record["tomograms"].values():
        entry["path"] = str(tmp_path / "nowhere.mrc")
    (folder / "picks.json").write_text(json.dumps(record))
    text = write_report(folder).read_text(encoding="utf-8")
    assert "No pictures" in text and "<i>moved" not in text and "&lt;i&gt;moved" in text


def test_the_report_names_tomograms_unlike_the_rest_with_the_reason(picked, tmp_path):
    """As at the end of a run, with the present threshold."""
    folder = tmp_path / "many"
    shutil.copytree(picked, folder)
    record = json.loads((folder / "picks.json").read_text())
    entry = record["tomograms"]["TS_1"]
    record["tomograms"] = {f"A_{i}": entry for i in range(6)} | {"odd": entry | {"candidates": 0}}
    for name in record["tomograms"]:
        text = (picked / "candidates" / "TS_1.csv").read_text().replace("TS_1", name)
        (folder / "candidates" / f"{name}.csv").write_text(text)
    (folder / "picks.json").write_text(json.dumps(record))
    text = write_report(folder).read_text(encoding="utf-8")
    assert "<h2>Summary</h2>" in text and f"Median tomogram: {entry['picks']} picks" in text
    assert f"odd: 0 picks where the median is {entry['picks']}" in text.replace("<p>  ", "<p>")
    assert text.count('<tr class="unusual">') == 1


def test_pick_writes_the_report(cli, world, tmp_path):
    picked = ["pick", world.tomogram("TS_1"), "-m", world.model, "-o", tmp_path / "out", "--pictures"]
    result = cli(*picked)
    assert result.code == 0 and (tmp_path / "out" / "report.html").exists()
    before = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert cli("threshold", tmp_path / "out", "--threshold", "0.9").code == 0
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8") != before
    assert cli("threshold", tmp_path / "out", "--no-pictures").code == 0
    assert not (tmp_path / "out" / "report.html").exists()
