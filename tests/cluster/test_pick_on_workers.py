"""``pick``, ``suggest`` and ``simulate`` on workers give what they give in one process."""

import json

import numpy as np
import pytest

from tests.cli.conftest import cli, world  # noqa: F401
from tests.cluster.conftest import needs_jobqueue
from tomopicker import api


@pytest.fixture(scope="module")
def tomograms(world, tmp_path_factory):  # noqa: F811
    """Three good files and a broken one."""
    folder = tmp_path_factory.mktemp("tomograms")
    for file in world.tomograms.iterdir():
        (folder / file.name).symlink_to(file)
    (folder / "broken.mrc").write_bytes(world.tomogram("TS_1").read_bytes()[:5000])
    return folder


def same_picks(some, others):
    names = {path.name for path in some.iterdir() if path.suffix in {".csv", ".star"}}
    assert names == {path.name for path in others.iterdir() if path.suffix in {".csv", ".star"}} and len(names) >= 9
    for name in names - {"relion5_import.star"}:
        mine, theirs = ((each / name).read_text().splitlines()[1:] for each in (some, others))
        assert mine == theirs, name


def test_the_same_picks_as_in_one_process(world, cli, tomograms, cluster, tmp_path, monkeypatch):  # noqa: F811
    """Also where workers start in another folder than the command, as jobs of PBS do."""
    monkeypatch.chdir(tmp_path)
    arguments = ["pick", tomograms, "-m", world.model, "--device", "cpu"]
    alone = cli(*arguments, "-o", tmp_path / "alone")
    on_workers = ["-o", "many", "--scheduler", cluster.scheduler, "--tls", cluster.tls]
    many = cli(*arguments, *on_workers)
    assert (alone.code, many.code, len(alone.errors), len(many.errors)) == (1, 1, 1, 1), many
    same_picks(tmp_path / "alone", tmp_path / "many")
    assert "the largest needs about" in many.out and "TS_2: " in many.out
    again = cli(*arguments, *on_workers)
    assert again.out.count("done already") == 3 and "(as before; --retry-failed" in again.err
    status = cli("status", tmp_path / "many")
    assert status.code == 0 and "4 of 4 tomograms: 3 done, 1 failed, 0 running." in status.out
    assert "broken.mrc" in status.out


def test_from_python(world, tomograms, cluster, tmp_path):  # noqa: F811
    events = []
    found = api.pick_many(
        tomograms, world.model, tmp_path / "picks", engine=cluster, workers=2, device="cpu", pictures=False,
        on_event=events.append,
    )  # fmt: skip
    assert list(found.failures) == ["broken"] and list(found.counts) == ["TS_1", "TS_2", "TS_3"]
    kinds = [event.kind for event in events]
    assert (kinds.count("done"), kinds.count("failed"), kinds.count("started")) == (3, 1, 4)
    assert found.summary.picks == sum(found.counts.values())
    assert json.loads((tmp_path / "picks" / "run.json").read_text())["summary"]["picks"] == found.summary.picks


@needs_jobqueue
def test_a_dry_run_prints_the_script_and_writes_nothing(world, cli, tomograms, tmp_path):  # noqa: F811
    (tmp_path / "lab.yaml").write_text("engine: slurm\nworkers: 16\njob: -p gpu\n", encoding="utf-8")
    result = cli(
        "pick", tomograms, "-m", world.model, "-o", tmp_path / "out", "--cluster", tmp_path / "lab.yaml",
        "--walltime", "04:00:00", "--dry-run",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert "4 tomograms would be picked on 16 workers in jobs of slurm" in result.out
    assert "#SBATCH -t 04:00:00" in result.out and "#SBATCH -p gpu" in result.out
    assert "distributed.cli.dask_worker" in result.out
    assert not (tmp_path / "out").exists()


def test_simulating_on_workers(cli, cluster, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    arguments = ["--count", 2, "--shape", "32,32,16", "--voxel-size", 40, "--particles", 1, "--preset", "easy"]
    alone = cli("simulate", "--output", tmp_path / "alone", *arguments)
    many = cli("simulate", "--output", "many", *arguments, "--scheduler", cluster.scheduler, "--tls", cluster.tls)
    assert (alone.code, many.code) == (0, 0), many
    for name in ("TS_0001.mrc", "TS_0002.mrc"):
        assert api.open_tomogram(tmp_path / "many" / name).data[:].tolist() == (
            api.open_tomogram(tmp_path / "alone" / name).data[:].tolist()
        )
    bad = cli(
        "simulate", "--output", tmp_path / "bad", *arguments, "--target", "unicorn", "--scheduler", cluster.scheduler,
        "--tls", cluster.tls,
    )  # fmt: skip
    assert bad.code != 0 and bad.errors[0].count("unicorn: no such molecule") == 1


def test_suggesting_reads_what_workers_computed(world, cli, cluster, tmp_path, monkeypatch):  # noqa: F811
    files = [world.tomogram("TS_1"), world.tomogram("TS_2")]
    diameter = api.load_model(world.model).settings.particle_diameter
    arguments = ["suggest", *files, "-d", diameter, "--count", 3, "--device", "cpu"]
    alone = cli(*arguments, "-o", tmp_path / "alone.csv", "--cache", tmp_path / "here")
    assert alone.code == 0, alone.err
    monkeypatch.setattr("tomopicker.pipeline.features.features_of", None)  # Here nothing may be computed.
    on = ["--scheduler", cluster.scheduler, "--tls", cluster.tls]
    many = cli(*arguments, "-o", tmp_path / "many.csv", "--cache", tmp_path / "there", *on)
    assert many.code == 0, many.err
    assert (tmp_path / "many.csv").read_bytes() == (tmp_path / "alone.csv").read_bytes()
    names = [{path.name for path in (tmp_path / where).glob("*.features")} for where in ("here", "there")]
    assert names[0] == names[1] and len(names[0]) == 2
    broken = tmp_path / "flat.mrc"

    api.write_mrc(broken, np.zeros((32, 32, 32), np.float32), 13.48)
    failures = api.features_many([files[0], broken], diameter, engine=cluster, cache=tmp_path / "there", device="cpu")
    assert list(failures) == ["flat"] and str(broken) in failures["flat"]
