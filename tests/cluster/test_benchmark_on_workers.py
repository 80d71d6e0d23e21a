"""``benchmark`` on workers gives what it gives in one process; a run that fails or is done stops no other."""

import json

import pytest

from tests.benchmark.conftest import TINY, Mini, command, simulated  # noqa: F401
from tomopicker.benchmark.runs import plan
from tomopicker.cluster.journal import status_lines


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    made = Mini(tmp_path_factory.mktemp("mini"))
    for number in (1, 2):
        simulated(made.folder / "data", f"TS_{number}", number)
    return made


def outcome(folder):
    """All of a result but how long it took, and the candidates beside it."""
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    facts = {key: value for key, value in result.pop("facts").items() if "seconds" not in key and key != "traceback"}
    return {**result, "seconds": None, "facts": facts}, [path.read_text() for path in sorted(folder.glob("*.csv"))]


def test_the_same_results_as_in_one_process(mini, command, cluster, tmp_path):  # noqa: F811
    (tmp_path / "empty").mkdir()
    path = tmp_path / "p.yaml"
    protocol = mini.protocol(
        path, methods=["dog", TINY], clicks=[4], seeds=[0, 1], external={"cryolo": str(tmp_path / "empty")}
    )
    alone, many = tmp_path / "alone", tmp_path / "many"
    on_workers = ["--scheduler", cluster.scheduler, "--tls", cluster.tls]
    code, _, err = command(path, "--output", alone, "--device", "cpu")
    assert code == 1 and "easy/cryolo/as-given failed: TomoPickerError" in err
    code, out, err = command(path, "--output", many, "--device", "cpu", *on_workers)
    assert code == 1 and err.count("easy/cryolo/as-given failed: TomoPickerError") == 1
    assert "4 of 5 runs are done." in out
    runs = plan(protocol)
    for run in runs:
        (one, candidates), (other, same) = outcome(run.folder(alone)), outcome(run.folder(many))
        assert one == other and candidates == same, run.name
    lines = status_lines(many)
    assert lines[0].startswith("Finished") and lines[1].startswith("4 of 4 tasks: 3 done, 1 failed")
    assert "cryolo" in lines[-1]
    before = {run.name: (run.folder(many) / "result.json").stat().st_mtime_ns for run in runs}
    code, out, _ = command(path, "--output", many, "--device", "cpu", *on_workers)
    after = {run.name: (run.folder(many) / "result.json").stat().st_mtime_ns for run in runs}
    assert code == 1 and out.count("done before") == 4
    assert [name for name in before if before[name] != after[name]] == ["easy/cryolo/as-given"], (
        "what failed is repeated"
    )
