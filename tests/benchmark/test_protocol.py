"""A protocol says what is run; a wrong one is refused with one line that names the file and what to mend."""

from pathlib import Path

import pytest

from tomopicker.benchmark.dataset import open_datasets
from tomopicker.benchmark.methods import BUILT_IN
from tomopicker.benchmark.protocol import add_external, filter_protocol, protocol_text, read_protocol
from tomopicker.benchmark.runs import plan
from tomopicker.cli.app import run
from tomopicker.config import resolve
from tomopicker.errors import TomoPickerError, UsageError
from tomopicker.io import open_tomogram
from tomopicker.presets import PRESETS

WRONG = {
    "training among the test tomograms": (
        {"dataset": {"test": ["TS_1", "TS_2"]}}, "training tomogram TS_1 is among the test ones",
    ),
    "validation among the test tomograms": (
        {"dataset": {"validation": "TS_2", "test": ["TS_2"]}}, "validation tomogram TS_2 is among the test ones",
    ),
    "trained and validated on one": ({"dataset": {"validation": "TS_1"}}, "TS_1 cannot be the training and the valid"),
    "training excluded": ({"dataset": {"exclude": ["TS_1"]}}, "TS_1 is excluded"),
    "unknown method": ({"methods": ["topaz"]}, "there is no method 'topaz'; use paper-pn"),
    "unknown setting": ({"methods": [{"name": "a", "settings": {"training": {"stepz": 3}}}]}, "training.stepz"),
    "a built-in name": ({"methods": [{"name": "dog"}]}, "'dog' is a built-in method"),
    "one method twice": ({"methods": ["dog", "dog"]}, "'dog' is listed twice"),
    "an external one of the same name": ({"external": {"dog": "x"}}, "'dog' is listed twice"),
    "a threshold": ({"threshold": 0.5}, "threshold: Extra inputs"),
    "one seed twice": ({"seeds": [1, 1]}, "duplicate value"),
    "no clicks": ({"clicks": []}, "clicks"),
    "a template without a map": ({"methods": ["template"]}, "the method template needs a map"),
    "a template of two things": ({"template": {"map": "a.mrc", "molecule": "ribosome"}}, "either a map or a molecule"),
    "truth of no tomogram": ({"dataset": {"truth": "truth.csv"}}, "must contain {tomogram}"),
    "a name that leaves its folder": ({"methods": [{"name": "../x"}]}, "name"),
    "a folder for a network": ({"methods": [{"name": "a", "folder": "x"}]}, "an external method needs a folder"),
    "an unknown preset": ({"methods": [{"name": "a", "preset": "slow"}]}, "preset: Input should be"),
    "simulated files": (
        {"dataset": {"tomograms": ["a.mrc", "b.mrc"], "simulate": {"preset": "vpp", "count": 2}}},
        "simulate needs a folder",
    ),
    "an unknown simulation": ({"dataset": {"simulate": {"preset": "cryo", "count": 2}}}, "simulate.preset"),
    "settings for a scorer": ({"methods": [{"name": "a", "kind": "dog", "preset": "paper"}]}, "only a network has"),
}  # fmt: skip

UNUSABLE = {
    "missing truth": ({"dataset": {"truth": "nowhere/{tomogram}.csv"}}, "the truth of TS_1 is missing"),
    "no such training tomogram": ({"dataset": {"training": "TS_9"}}, "there is no tomogram TS_9, only TS_1, TS_2"),
    "nothing to test on": ({"dataset": {"exclude": ["TS_2", "TS_3"]}}, "no tomogram is left to test on"),
    "more clicks than particles": ({"clicks": [5, 500]}, "500 clicks cannot be drawn from"),
    "no such map": ({"methods": ["template"], "template": {"map": "no.mrc"}}, "no.mrc: no such map"),
    "no such molecule": ({"template": {"molecule": "virus"}}, "template.molecule virus: no such molecule"),
    "no such folder": ({"external": {"cryolo": "nowhere"}}, "nowhere: no such folder"),
}


@pytest.mark.parametrize(("changes", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_protocol_is_refused(mini, tmp_path, changes, said):
    path = mini.write(tmp_path / "wrong.yaml", **changes)
    with pytest.raises(UsageError) as caught:
        read_protocol(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("changes", "said"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_is_not_there_is_reported_before_anything_runs(mini, tmp_path, changes, said):
    protocol = mini.protocol(tmp_path / "p.yaml", **changes)
    with pytest.raises(TomoPickerError) as caught:
        open_datasets(protocol)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [WRONG["training among the test tomograms"], WRONG["unknown method"], UNUSABLE["missing truth"]],
)
def test_the_command_refuses_in_one_line(mini, tmp_path, command, changes, said):
    path = mini.write(tmp_path / "wrong.yaml", **changes)
    code, _, err = command(path, "--output", tmp_path / "out")
    assert code == 2
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "said"), [(": [", "is not YAML"), ("- a", "which is a mapping"), (None, "cannot be read")]
)
def test_a_file_that_is_no_protocol(tmp_path, text, said):
    path = tmp_path / "p.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=said):
        read_protocol(path)


def test_paths_start_at_the_protocols_folder(mini, tmp_path):
    protocol = mini.protocol(tmp_path / "p.yaml", dataset={"tomograms": "here", "truth": "t/{tomogram}.csv"})
    data = protocol.datasets["easy"]
    assert data.tomograms == (tmp_path / "here",)
    assert data.truth == str(tmp_path / "t" / "{tomogram}.csv")


def test_a_protocol_survives_being_written(mini, tmp_path):
    protocol = mini.protocol(
        tmp_path / "p.yaml", methods=["dog", "default-kl", {"name": "a", "preset": "paper"}], external={"cryolo": "x"},
        clicks=[8, 5],
    )  # fmt: skip
    folder = tmp_path / "out" / "results"
    folder.mkdir(parents=True)
    text = protocol_text(protocol, folder)
    (folder / "again.yaml").write_text(text)
    again = read_protocol(folder / "again.yaml")
    assert (again.methods, again.clicks) == (protocol.methods, protocol.clicks)
    assert again.external["cryolo"].resolve() == tmp_path / "x"
    assert str(tmp_path) not in text, "data and results are moved together"
    data, before = open_datasets(again.model_copy(update={"external": {}}))["easy"], protocol.datasets["easy"]
    assert Path(data.spec.truth).resolve() == Path(before.truth)
    assert list(data.tomograms) == ["TS_1", "TS_2", "TS_3"]


def test_roles(mini, tmp_path):
    data = open_datasets(mini.protocol(tmp_path / "p.yaml", dataset={"validation": "TS_3"}))["easy"]
    assert {name: data.role(name) for name in data.tomograms} == {
        "TS_1": "training", "TS_3": "validation", "TS_2": "test",
    }  # fmt: skip


def test_the_plan_is_methods_times_clicks_times_seeds(mini, tmp_path):
    protocol = mini.protocol(
        tmp_path / "p.yaml", methods=["dog", "all-labelled"], clicks=[5, 10], seeds=[0, 1, 2], external={"cryolo": "x"}
    )
    names = [each.name for each in plan(protocol)]
    assert len(names) == len(set(names)) == 2 * 3 + 3 + 1
    assert names[0] == "easy/dog/5-clicks_seed-0"
    assert names[-1] == "easy/cryolo/as-given"
    assert "easy/all-labelled/seed-2" in names


def test_narrowing(mini, tmp_path):
    protocol = mini.protocol(tmp_path / "p.yaml", methods=["dog", "ball"], clicks=[5, 10], seeds=[0, 1])
    part = filter_protocol(protocol, methods=["ball"], clicks=[10], seeds=[1])
    assert [each.name for each in plan(part)] == ["easy/ball/10-clicks_seed-1"]
    with pytest.raises(UsageError, match="--method template: the protocol has dog, ball"):
        filter_protocol(protocol, methods=["template"])


def test_extending(mini, tmp_path):
    protocol = mini.protocol(tmp_path / "p.yaml")
    wider = add_external(protocol, {"cryolo": tmp_path})
    assert [row.name for row in wider.rows] == ["dog", "cryolo"]
    with pytest.raises(UsageError, match="'dog' is listed twice"):
        add_external(protocol, {"dog": tmp_path})


@pytest.mark.parametrize(
    "method", [each for each in BUILT_IN.values() if each.kind == "network"], ids=lambda each: each.name
)
def test_built_in_networks_are_what_their_names_say(method):
    settings = resolve({"preset": method.preset, "particle_diameter": 300.0, **method.settings})
    if method.name != "all-labelled":
        preset, _, kind = method.name.partition("-")
        assert settings.preset == preset
        assert settings.objective.loss == (kind.split("-")[0] or settings.objective.loss)
    expected = 20 if settings.preset == "paper" else None
    assert settings.training.epochs == (8 if method.name.endswith("8-epochs") else expected)


def test_every_preset_is_a_row():
    assert set(PRESETS) <= {settings.preset for settings in BUILT_IN.values()}


def test_a_data_set_is_simulated_where_it_is_not_there(mini, tmp_path, command):
    """One command from nothing; another data set of the protocol need not be there."""
    made = {
        "tomograms": str(tmp_path / "made"), "truth": str(tmp_path / "made" / "truth" / "{tomogram}.csv"),
        "training": "TS_0001",
        "simulate": {"preset": "easy", "count": 2, "seed": 4, "shape": [96, 80, 40], "particles": 8},
    }  # fmt: skip
    elsewhere = {"tomograms": "nowhere", "truth": "nowhere/{tomogram}.csv", "training": "TS_0001"}
    path = mini.write(tmp_path / "p.yaml", datasets={"easy": made, "far": elsewhere})
    arguments = [path, "--dataset", "easy", "--output", tmp_path / "out"]
    code, out, err = command(*arguments, "--dry-run")
    assert (code, err) == (0, "")
    assert f"easy: 2 tomograms to be simulated in {tmp_path / 'made'}, 2 MB." in out
    assert "1 of 1 runs are to be done" in out
    code, _, err = command(*arguments)
    assert code == 2
    assert "2 tomograms of easy are missing; give --simulate to make them (2 MB)" in err
    assert not (tmp_path / "made").exists() and not (tmp_path / "out").exists()
    code, out, err = command(*arguments, "--simulate")
    assert (code, err) == (0, "")
    assert "TS_0002.mrc: 8 × ribosome" in out
    tomogram = open_tomogram(tmp_path / "made" / "TS_0001.mrc")
    assert tomogram.shape == (40, 80, 96)
    before = (tmp_path / "made" / "TS_0001.mrc").stat().st_mtime_ns
    code, out, _ = command(*arguments, "--dry-run")
    assert (code, "done already" in out) == (0, True)
    code, out, _ = command(*arguments)
    assert code == 0
    assert "mrc: 8 × ribosome" not in out
    for flag, value in (("--clicks", 7), ("--seed", 3), ("--method", "template")):
        for more in ((), ("--dry-run",)):
            code, _, err = command(*arguments, flag, value, *more)
            assert code == 2 and f"{flag} {value}: the protocol has" in err
    assert (tmp_path / "made" / "TS_0001.mrc").stat().st_mtime_ns == before
    mini.write(path, datasets={"easy": {**made, "simulate": {**made["simulate"], "seed": 5}}, "far": elsewhere})
    code, _, err = command(*arguments)
    assert code == 2
    assert "TS_0001.json: the tomogram was simulated with settings that differ" in err
    mini.write(path, datasets={"easy": made, "far": elsewhere})
    # The same as `tomopicker simulate` makes from the same seed.
    assert run(["simulate", "--output", str(tmp_path / "by-hand"), "--preset", "easy", "--count", "1", "--seed", "4",
                "--shape", "96,80,40", "--particles", "8"]) == 0  # fmt: skip
    assert (tmp_path / "by-hand" / "TS_0001.mrc").read_bytes()[1024:] == (
        tmp_path / "made" / "TS_0001.mrc"
    ).read_bytes()[1024:]
    code, _, err = command(path, "--output", tmp_path / "out")
    assert code == 1
    assert "nowhere" in err


def test_the_published_protocols_are_protocols():
    folder = Path(__file__).parents[2] / "benchmarks" / "protocols"
    names = {path.name: read_protocol(path) for path in folder.glob("*.yaml")}
    assert {"own.yaml", "simulated.yaml"} <= names.keys()
    assert all(data.simulate for data in names["own.yaml"].datasets.values())
