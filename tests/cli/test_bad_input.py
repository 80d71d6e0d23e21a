"""Bad input: one clear line, the right exit code, nothing half-written."""

import resource
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.cli.conftest import DIAMETER, VOXEL_SIZE, balls, write_csv
from tomopicker.io import write_mrc


def missing(path):
    return path / "nowhere.mrc"


def truncated(path):
    file = path / "short.mrc"
    write_mrc(file, balls(1)[0], VOXEL_SIZE)
    file.write_bytes(file.read_bytes()[:5000])
    return file


def no_mrc(path):
    file = path / "text.mrc"
    file.write_text("these are no voxels\n" * 200, encoding="utf-8")
    return file


def flat(path):
    file = path / "flat.mrc"
    with mrcfile.new(file) as new:
        new.set_data(np.zeros((40, 40), dtype=np.float32))
    return file


def four_dimensional(path):
    file = path / "stack.mrc"
    with mrcfile.new(file) as new:
        new.set_data(np.zeros((2, 20, 20, 20), dtype=np.float32))
    return file


def no_voxel_size(path):
    file = path / "unsized.mrc"
    write_mrc(file, balls(1)[0], 0.0)
    return file


def with_nan(path):
    volume = balls(1)[0]
    volume[5, 5, 5] = np.nan
    write_mrc(path / "nan.mrc", volume, VOXEL_SIZE)
    return path / "nan.mrc"


def with_infinity(path):
    volume = balls(1)[0]
    volume[5, 5, 5] = np.inf
    write_mrc(path / "inf.mrc", volume, VOXEL_SIZE)
    return path / "inf.mrc"


def constant(path):
    write_mrc(path / "grey.mrc", np.full((32, 56, 48), 7, dtype=np.float32), VOXEL_SIZE)
    return path / "grey.mrc"


TOMOGRAMS = {
    missing: "no such file", truncated: "truncated", no_mrc: "not", flat: "2D", four_dimensional: "stack",
    no_voxel_size: "--voxel-size", with_nan: "NaN", with_infinity: "infinity", constant: "same",
}  # fmt: skip


def refused(result, words, code=None):
    """Check for one line on stderr with these words, and a failure exit code."""
    assert result.code == code if code is not None else result.code in {1, 2}, result.err
    assert len(result.errors) == 1, result.err
    assert words in result.err


@pytest.mark.parametrize("make", TOMOGRAMS, ids=lambda make: make.__name__)
def test_tomograms_in_training(world, cli, tmp_path, make):
    bad, output = make(tmp_path), tmp_path / "out" / "m.model"
    arguments = ["--picks", world.clicks, "-d", "100", "--config", world.config, "-o", output]
    refused(cli("train", bad, *arguments), TOMOGRAMS[make], 1)
    assert not output.parent.exists()


@pytest.mark.parametrize("make", TOMOGRAMS, ids=lambda make: make.__name__)
def test_tomograms_in_picking(world, cli, tmp_path, make):
    bad = make(tmp_path)
    refused(cli("pick", bad, "-m", world.model, "-o", tmp_path / "out"), TOMOGRAMS[make], 1)
    left = {path.suffix for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert left <= {".json", ".log"}, "the reason is kept, and nothing else"


CLICKS = {
    "empty": ("", "empty"),
    "header-only": ("x,y,z\n", "no picks"),
    "outside": ("x,y,z\n10,10,10\n10,700,10\n", "outside"),
    "angstrom": ("x,y,z\n100,120,130\n200,210,150\n300,300,200\n", "--picks-unit angstrom"),
    "other tomogram": ("tomogram,x,y,z\nTS_9,10,10,10\n", "TS_9"),
    "columns missing": ("x,y,score\n1,2,0.5\n", "found x, y, score"),
    "not a number": ("x,y,z\n1,2,three\n", "three"),
    "not finite": ("x,y,z\n1,2,nan\n", "not finite"),
    "binary": ("\0\1\2\0" * 50, "text"),
}


@pytest.mark.parametrize("case", CLICKS)
def test_clicks(world, cli, tmp_path, case):
    text, words = CLICKS[case]
    clicks, output = tmp_path / "clicks.csv", tmp_path / "m.model"
    clicks.write_text(text, encoding="utf-8")
    arguments = ["--picks", clicks, "-d", "100", "--config", world.config, "-o", output]
    refused(cli("train", world.tomogram("TS_1"), *arguments), words, 1)
    assert list(tmp_path.iterdir()) == [clicks]


def test_clicks_in_angstrom_with_the_flag(world, cli, tmp_path):
    clicks = write_csv(tmp_path / "clicks.csv", balls(1)[1] * VOXEL_SIZE)
    arguments = ["--picks", clicks, "-d", "100", "--config", world.config, "-o", tmp_path / "m.model", "--dry-run"]
    assert cli("train", world.tomogram("TS_1"), *arguments, "--picks-unit", "angstrom").code == 0


USAGE = {
    "small diameter": (["-d", "15"], "2 voxels"),
    "large diameter": (["-d", "900"], "larger than"),
    "no diameter": ([], "--particle-diameter"),
    "steps and epochs": (["-d", "100", "--steps", "3", "--epochs", "3"], "steps or epochs"),
    "seed": (["-d", "100", "--seed=-1"], "seed"),
    "device": (["-d", "100", "--device", "abacus"], "--device"),
    "few expected": (["-d", "100", "--steps", "2", "--expected-particles", "2"], "--expected-particles"),
    "validation": (["-d", "100", "--validation-picks", "a.csv"], "go together"),
    "no config": (["-d", "100", "--config", "nowhere.yaml"], "nowhere.yaml"),
    "pixel size": (["-d", "100", "--picks-pixel-size", "0"], "--picks-pixel-size"),
}


@pytest.mark.parametrize("case", USAGE)
def test_wrong_usage_of_train(world, cli, tmp_path, case):
    flags, words = USAGE[case]
    config = [] if "--config" in flags else ["--config", world.config]
    arguments = [world.tomogram("TS_1"), "--picks", world.clicks, "-o", tmp_path / "m.model", *config, *flags]
    refused(cli("train", *arguments), words, 2)
    assert not (tmp_path / "m.model").exists()


def test_tomograms_without_clicks_are_named_and_left_out(world, cli, tmp_path):
    arguments = world.train_arguments(tmp_path / "m.model", "--dry-run", "--mask", world.tomograms)
    result = cli(arguments[0], world.tomogram("TS_3"), *arguments[1:], world.tomogram("TS_2"))
    assert result.code == 0, result.err
    assert "not trained on, for want of clicks: TS_3, TS_2 (2 of 3 tomograms)" in result.err
    assert result.out.count("48 × 56 × 32 voxels") == 1


def test_a_project_is_trained_on_where_it_was_clicked(world, cli, tmp_path):
    """RELION's list of tomograms supplies names and sizes for centred positions."""
    labels = ["Name", "SizeX", "SizeY", "SizeZ", "TiltSeriesPixelSize", "TomogramBinning", "ReconstructedTomogram"]
    header = "\n".join(f"_rlnTomo{label} #{column}" for column, label in enumerate(labels, 1))
    rows = [f"TS_{number} 96 112 64 5.0 2 {world.tomogram(f'TS_{number}')}" for number in (1, 2, 3)]
    project = tmp_path / "tomograms.star"
    project.write_text(f"data_global\n\nloop_\n{header}\n" + "\n".join(rows) + "\n", encoding="utf-8")
    particles = tmp_path / "particles.star"
    assert cli("convert", world.clicks, particles, "--tomograms", project).code == 0
    more = ["-d", DIAMETER, "--config", world.config, "--dry-run", "-o", tmp_path / "m.model"]
    for tomogram, given in ((project, [particles]), (world.tomogram("TS_1"), [particles, "--picks", project])):
        result = cli("train", tomogram, "--picks", *given, *more)
        assert result.code == 0, result.err
        assert result.out.count("6 clicks") == 1
        assert ("for want of clicks: TS_2, TS_3" in result.err) == (tomogram == project)


def test_unknown_settings_in_the_file(world, cli, tmp_path):
    (tmp_path / "odd.yaml").write_text("training: {stepz: 3}\n", encoding="utf-8")
    arguments = world.train_arguments(tmp_path / "m.model", "--config", tmp_path / "odd.yaml")
    refused(cli(*arguments), "training.stepz", 2)


def not_a_model(path, model):
    path.write_bytes(b"not a model at all")


def other_safetensors(path, model):
    save_file({"a": np.zeros(3, dtype=np.float32)}, path)


def corrupted(path, model):
    path.write_bytes(model.read_bytes()[:-200])


def newer(path, model):
    from safetensors import safe_open

    with safe_open(model, framework="numpy") as opened:
        metadata = {**opened.metadata(), "version": "99"}
    save_file(load_file(model), path, metadata)


@pytest.mark.parametrize(
    ("make", "words"),
    [(not_a_model, "not a tomopicker model"), (other_safetensors, "not a tomopicker model"),
     (corrupted, "corrupted"), (newer, "newer"), (lambda path, model: None, "no such model")],
)  # fmt: skip
def test_models(world, cli, tmp_path, make, words):
    make(tmp_path / "m.model", world.model)
    result = cli("pick", world.tomogram("TS_1"), "-m", tmp_path / "m.model", "-o", tmp_path / "out")
    refused(result, words, 1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [(["--threshold", "nan"], "--threshold"), (["--max-particles", "0"], "--max-particles"),
     (["--min-distance", "-3"], "--min-distance"), (["--device", "abacus"], "--device"),
     (["--voxel-size", "0"], "--voxel-size")],
)  # fmt: skip
def test_wrong_usage_of_pick(world, cli, tmp_path, flags, words):
    refused(cli("pick", world.tomogram("TS_1"), "-m", world.model, "-o", tmp_path / "out", *flags), words)
    assert not (tmp_path / "out").exists()


def test_a_mask_of_another_shape(world, cli, tmp_path):
    write_mrc(tmp_path / "mask.mrc", np.ones((16, 16, 16), dtype=np.int8), VOXEL_SIZE)
    arguments = ["-m", world.model, "-o", tmp_path / "out", "--mask", tmp_path / "mask.mrc"]
    refused(cli("pick", world.tomogram("TS_1"), *arguments), "--mask", 1)
    refused(cli("pick", world.tomogram("TS_1"), world.tomogram("TS_2"), *arguments), "folder of masks", 2)


def test_a_model_that_is_there_is_not_replaced(world, cli):
    before = world.model.read_bytes()
    refused(cli(*world.train_arguments(world.model)), "--overwrite", 2)
    assert world.model.read_bytes() == before
    finished = cli(*world.train_arguments(world.model, "--resume"))
    assert (finished.code, "nothing to resume" in finished.out) == (0, True)


def test_output_that_cannot_be_written(world, cli, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    refused(cli(*world.train_arguments(tmp_path / "file" / "m.model")), "--output", 1)
    refused(cli("pick", world.tomogram("TS_1"), "-m", world.model, "-o", tmp_path / "file"), "--output", 1)
    refused(cli(*world.train_arguments(tmp_path)), "folder", 2)
    if Path("/proc").is_dir():
        refused(cli(*world.train_arguments("/proc/none/m.model")), "cannot be written", 1)


def test_evaluate(world, cli, picked, tmp_path):
    refused(cli("evaluate", tmp_path, "--truth", world.truth), "no file of picks", 1)
    refused(cli("evaluate", picked, "--truth", tmp_path / "none.csv"), "no such file", 1)
    refused(cli("evaluate", picked, "--truth", tmp_path), "no file of picks in this folder", 1)
    (tmp_path / "other.csv").write_text("x,y,z\n1,2,3\n", encoding="utf-8")
    refused(cli("evaluate", picked, "--truth", tmp_path), "named after", 2)
    refused(cli("evaluate", picked, "--truth", world.truth, "--tolerance", "wide"), "--tolerance", 2)
    refused(cli("evaluate", picked, "--truth", world.truth, "--exclude", "TS_9"), "--exclude", 2)


@pytest.fixture
def files_of_100_kb():
    """A file size limit simulates a full disk: the same system call fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100 * 1024, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("files_of_100_kb")
def test_a_full_disk(world, cli, tmp_path):
    result = cli("pick", world.tomogram("TS_1"), "-m", world.model, "-o", tmp_path / "out", "--save-scores")
    refused(result, "cannot be written", 1)
    assert len(result.err.splitlines()) == 1
    assert not [path for path in tmp_path.rglob("*") if path.suffix in {".star", ".csv", ".mrc", ".png"}]


def test_a_full_disk_when_the_model_is_written(world, cli, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    refused(cli(*world.train_arguments(tmp_path / "m.model", "--steps", "2")), "No space left", 1)
    assert not list(tmp_path.iterdir())


def test_clicks_of_other_tomograms_are_left_out(world, cli, tmp_path):
    """Clicks of a whole project with one of its tomograms; training is refused if no click is left."""
    both = tmp_path / "both.csv"
    both.write_text("tomogram,x,y,z\nTS_1,20,20,20\nTS_1,9,9,9\nTS_2,20,20,20\n", encoding="utf-8")
    more = ["--picks", both, "--particle-diameter", 100, "--output", tmp_path / "m", "--dry-run"]
    result = cli("train", world.tomogram("TS_1"), *more)
    assert result.code == 0 and "2 clicks" in result.out
    assert "1 pick left out, of tomograms that were not given: TS_2" in result.err
    with_another = cli("train", world.tomogram("TS_1"), world.tomogram("TS_3"), *more)
    assert with_another.code == 0 and "for want of clicks: TS_3" in with_another.err
    none = cli("train", world.tomogram("TS_3"), *more)
    assert none.code == 1 and "no picks of the tomograms given (TS_3)" in none.err


@pytest.mark.parametrize("command", ["info", "status", "report", "convert", "check", "threshold", "studio"])
def test_a_name_that_no_file_system_takes(world, cli, command):
    """For example two names pasted together."""
    more = {"convert": ["out.csv"], "check": [world.tomogram("TS_1"), "--particle-diameter", "100"]}.get(command, [])
    result = cli(command, "x" * 300, *more)
    assert result.code in {1, 2} and len(result.err.splitlines()) == 1, result
    assert "File name too long" in result.err or "x" * 300 in result.err


def test_a_number_that_no_machine_takes(cli, tmp_path):
    refused = cli("pretrain", "--classes", "9" * 27, "--output", tmp_path / "w.safetensors")
    assert refused.code == 2 and "--classes" in refused.err and not list(tmp_path.iterdir())
