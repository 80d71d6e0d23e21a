"""Features that workers compute are those that are looked up here."""

import numpy as np

from tests.cli.conftest import cli, world  # noqa: F401
from tomopicker import api


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
