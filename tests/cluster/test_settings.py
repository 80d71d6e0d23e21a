"""What a lab says of its machines, and the job scripts that come of it."""

import signal

import pytest

from tests.cluster.conftest import needs_jobqueue
from tomopicker.cluster.keys import check_keys, key_files, temporary_keys
from tomopicker.cluster.resources import share_out
from tomopicker.cluster.settings import ClusterSettings, read_cluster_settings
from tomopicker.errors import UsageError


def test_flags_win_over_the_file(tmp_path):
    file = tmp_path / "lab.yaml"
    file.write_text("engine: slurm\nworkers: 16\njob: --gpus=1 -p gpu\nwalltime: '04:00:00'\n", encoding="utf-8")
    settings = read_cluster_settings(file, {"workers": 3, "walltime": None})
    assert (settings.engine, settings.workers, settings.job) == ("slurm", 3, ("--gpus=1 -p gpu",))
    assert settings.description == "on 3 workers in jobs of slurm"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("engine: slurm\nworkes: 3", "no setting is called 'workes'; there are engine, workers"),
        ("engine: slurm\nwalltime: '04:00'", "give HH:MM:SS or D-HH:MM:SS"),
        ("engine: slurm\nwalltime: 14400", "walltime"),
        ("engine: slurm\nmemory: much", "such as 24GB"),
        ("engine: slurm\nworkers: 0", "workers"),
        ("engine: local\nwalltime: '04:00:00'", "walltime is for jobs of a queueing system"),
        ("engine: scheduler", "--scheduler FILE"),
        ("scheduler: s.json\nengine: scheduler", "TLS alone; give --tls DIR"),
        ("engine: kubernetes", "engine"),
        ("- slurm", "give one setting a line"),
        ("engine: [", "is not YAML"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, text, words):
    file = tmp_path / "lab.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as error:
        read_cluster_settings(file, {})
    assert str(file) in str(error.value) and words in str(error.value) and "\n" not in str(error.value)


@needs_jobqueue
@pytest.mark.parametrize(
    ("engine", "lines"),
    [
        (
            "slurm",
            ["#SBATCH --mem=8G", "#SBATCH --cpus-per-task=4", "#SBATCH -t 1-04:30:10", "#SBATCH --gpus=1 -p gpu"],
        ),
        ("pbs", ["#PBS -l select=1:ncpus=4:mem=8gb", "#PBS -l walltime=28:30:10", "#PBS --gpus=1 -p gpu"]),
        ("lsf", ["#BSUB -n 4", "#BSUB -W 28:31", "#BSUB --gpus=1 -p gpu"]),
        ("sge", ["#$ -l mem_free=8G", "#$ -l h_rt=28:30:10", "#$ --gpus=1 -p gpu"]),
    ],
)
def test_the_script_of_a_job(tmp_path, engine, lines, monkeypatch):
    from tomopicker.cluster.jobqueue import job_script

    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = ClusterSettings(
        engine=engine, job="--gpus=1 -p gpu", walltime="1-04:30:10", cores=4, prologue="module load cuda"
    )
    script = job_script(settings, int(5.2 * 2**30), tmp_path / "picks").splitlines()
    assert set(lines) <= set(script), script
    assert script.index("module load cuda") < len(script) - 1
    worker = script[-1] if script[-1] else script[-2]
    assert "--nthreads 1" in worker and "--dashboard-address 127.0.0.1:0" in worker
    assert {"export OMP_NUM_THREADS=4", "export MALLOC_TRIM_THRESHOLD_=67108864"} <= set(script)
    assert not list(tmp_path.iterdir()), "nothing is written, at home neither"
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


@needs_jobqueue
def test_what_the_user_says_replaces_what_is_asked_for(tmp_path):
    from tomopicker.cluster.jobqueue import job_script

    pbs = ClusterSettings(engine="pbs", job="-l select=1:ncpus=8:ngpus=1:mem=40gb")
    script = job_script(pbs, 2**30, tmp_path)
    assert script.count("select=") == 1 and "ngpus=1" in script and "walltime" not in script
    slurm = ClusterSettings(engine="slurm", job=("--mem-per-gpu=30G",), skip="-n 1")
    script = job_script(slurm, 2**30, tmp_path)
    assert "--mem=" not in script and "#SBATCH -n 1" not in script and " -t " not in script


def test_keys_are_the_owners_alone_and_go(tmp_path):
    pytest.importorskip("cryptography")
    (tmp_path / ".keys-left-by-a-killed-run").mkdir()
    with temporary_keys(tmp_path) as keys:
        assert [path.name for path in tmp_path.iterdir()] == [keys.name]
        assert keys.stat().st_mode & 0o777 == 0o700
        assert {file.stat().st_mode & 0o777 for file in key_files(keys)} == {0o600}
        check_keys(keys)
        key_files(keys)[2].chmod(0o640)
        with pytest.raises(UsageError, match="chmod 600"):
            check_keys(keys)
        key_files(keys)[0].unlink()
        with pytest.raises(UsageError, match=r"no ca\.pem in it"):
            check_keys(keys)
    assert not list(tmp_path.iterdir())


def test_a_machine_is_shared_out(monkeypatch):
    pytest.importorskip("psutil")
    machine = "tomopicker.cluster.resources."
    monkeypatch.setattr(machine + "_cores", lambda: 16)
    monkeypatch.setattr(machine + "_free_memory", lambda: 100 * 2**30)
    monkeypatch.setattr(machine + "_gpus", lambda: [])
    by_memory, words = share_out(None, None, 20 * 2**30, 1000)
    assert by_memory == [{"OMP_NUM_THREADS": "4"}] * 4
    assert "about 20.0 GB of memory each" in words
    assert len(share_out(None, 8, 2**30, 1000)[0]) == 2
    assert len(share_out(None, None, 2**30, 3)[0]) == 3
    with pytest.raises(UsageError, match=r"--workers 8: each needs about 20\.0 GB .* give --workers 4"):
        share_out(8, None, 20 * 2**30, 1000)
    monkeypatch.setattr(machine + "_gpus", lambda: ["GPU-a", "GPU-b"])
    each, _ = share_out(None, None, 2**30, 1000)
    assert [variables["CUDA_VISIBLE_DEVICES"] for variables in each] == ["GPU-a", "GPU-b"]
