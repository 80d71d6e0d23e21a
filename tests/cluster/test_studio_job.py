"""A job of the studio picks in all tomograms on several workers: the real command, on the workers of these tests."""

import json
import shutil
import signal
import threading

import pytest

from tests.cli.conftest import cli, world  # noqa: F401

pytest.importorskip("starlette", reason="starlette is not installed: pip install 'tomopicker[studio]'")
testing = pytest.importorskip("starlette.testclient")

from tests.studio.conftest import BASE, wait_for  # noqa: E402
from tomopicker.cluster.engines import started  # noqa: E402
from tomopicker.studio.access import Access  # noqa: E402
from tomopicker.studio.app import create_app  # noqa: E402
from tomopicker.studio.context import Studio  # noqa: E402
from tomopicker.studio.listing import list_tomograms  # noqa: E402

KIND = {"kind": "ball"}


@pytest.fixture
def project(world, cluster, tmp_path):  # noqa: F811
    """A folder with a trained model, and these workers."""
    folder = tmp_path / "project"
    (folder / "models").mkdir(parents=True)
    shutil.copy(world.model, folder / "models" / "ball.model")
    stated = {"engine": "scheduler", "scheduler": str(cluster.scheduler), "tls": str(cluster.tls)}
    (folder / "cluster.yaml").write_text(json.dumps(stated), encoding="utf-8")
    return folder


def open_client(world, project):  # noqa: F811
    studio = Studio.open(list_tomograms([world.tomograms]), project, None)
    if not studio.project.kinds:
        studio.project.add_kind("ball", 100.0)
    access = Access(secret="s" * 40)
    client = testing.TestClient(create_app(studio, access), base_url=BASE, headers={"origin": BASE})
    return client, access.token


def ended(client):
    """Wait for the latest job, and give it with its log."""
    job = wait_for(lambda: (latest := client.get("/api/jobs").json()[0])["state"] != "running" and latest, 300)
    return job | {"log": client.get("/api/log", params={"id": job["id"]}).json()["log"]}


def ignores_interrupts():
    return signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_stopping_a_job_interrupts_its_driver_alone(cluster, tmp_path):
    """The signal reaches the whole group of processes; workers that it ended would print a traceback into the log."""
    with started(cluster, 1000, 2, tmp_path) as workers:
        assert set(workers.client.run(ignores_interrupts).values()) == {True}


def test_all_tomograms_are_picked_on_workers_and_a_second_job_goes_on(world, project):  # noqa: F811
    """The server ends right after the start, pressed twice at once; another one reviews what came of it."""
    client, token = open_client(world, project)
    with client:
        client.get(f"/?token={token}")
        answers = []

        def press():
            answers.append(client.post("/api/start", json=KIND | {"what": "pick"}))

        presses = [threading.Thread(target=press) for _ in range(2)]
        for each in presses:
            each.start()
        for each in presses:
            each.join()
        assert sorted(answer.status_code for answer in answers) == [200, 400]
        assert len(client.get("/api/jobs").json()) == 1
    client, token = open_client(world, project)
    with client:
        client.get(f"/?token={token}")
        first = ended(client)
        assert first["state"] == "done", first["log"]
        assert "--overwrite" in first["command"] and "2 workers" in first["log"]
        rows = client.get("/api/review", params=KIND).json()["tomograms"]
        assert [row["tomogram"] for row in rows] == ["TS_1", "TS_2", "TS_3"] and all(row["picks"] for row in rows)
        lost = project / "picks" / "ball" / "TS_2.star"  # As if the job had been stopped before it.
        text = lost.read_text(encoding="utf-8")
        lost.unlink()
        assert client.post("/api/start", json=KIND | {"what": "pick"}).status_code == 200
        again = ended(client)
        assert again["state"] == "done" and again["log"].count("done already") == 2, again["log"]
        assert lost.read_text(encoding="utf-8").splitlines()[1:] == text.splitlines()[1:]
