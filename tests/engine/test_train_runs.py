"""The loop's promises: a seed decides everything, a resumed run ends as an unbroken one, a plateau halves the rate."""

import pytest
import torch

from tomopicker.engine.train import fit
from tomopicker.errors import TomoPickerError
from tomopicker.models.resunet import ResUNet
from tomopicker.pu.prior import Priors

CPU = torch.device("cpu")
PRIORS = Priors(0.01, 0.03, 0.02)


def weights(network):
    return torch.cat([value.double().flatten() for value in network.state_dict().values()])


@pytest.fixture(scope="module", params=["default", "paper"])
def run(request, balls, small_settings):
    """Train for two reports' worth of steps: two times 25, or four epochs."""
    steps, patches = (50, {"size": 8, "batch": 4}) if request.param == "default" else (4, {})

    def make(seed=0, validation=False, preset=request.param, changes=None, **options):
        parts = {"network": {"channels": (2, 4), "dropout": 0.2, "start": "scratch"}, "patches": patches}
        parts |= {"objective": {"kind": "kl", "running_mean": 0.9}} | (changes or {})
        settings = small_settings(preset, steps, seed, **parts)
        watched = [balls(seed=1).labelled] if validation else []
        return fit([balls().labelled], watched, settings, PRIORS, device=CPU, **options)

    return make


def interrupted_at(report_number):
    seen = []

    def report(line):
        seen.append(line)
        if len(seen) == report_number:
            raise KeyboardInterrupt

    return report


def test_the_seed_decides_everything(run):
    first, again, other = (weights(run(seed=seed)[0]) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_random_numbers_drawn_outside_do_not_matter(run):
    first = weights(run()[0])

    def draw(_):
        torch.rand(7)

    assert torch.equal(first, weights(run(report=draw)[0]))


@pytest.mark.parametrize("validation", [False, True])
def test_a_resumed_run_ends_as_an_unbroken_one(run, tmp_path, validation):
    whole, history = run(validation=validation)
    path = tmp_path / "run.ckpt"
    with pytest.raises(KeyboardInterrupt):
        run(validation=validation, checkpoint=path, report=interrupted_at(1))
    lines = []
    resumed, joined = run(validation=validation, checkpoint=path, resume=True, report=lines.append)
    assert lines[0].step > 1  # it did not start again
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=1e-6, atol=1e-7)
    assert joined == history


def test_a_finished_run_resumed_gives_the_same(run, tmp_path):
    path = tmp_path / "run.ckpt"
    first, history = run(checkpoint=path)
    lines = []
    again, same = run(checkpoint=path, resume=True, report=lines.append)
    assert not lines
    assert torch.equal(weights(first), weights(again))
    assert same == history


def test_resume_without_a_checkpoint_starts(run, tmp_path):
    network, _ = run(checkpoint=tmp_path / "run.ckpt", resume=True)
    assert torch.equal(weights(network), weights(run()[0]))
    assert (tmp_path / "run.ckpt").exists()


@pytest.mark.parametrize(
    "changes",
    [{"objective": {"kind": "pn"}}, {"training": {"learning_rate": 0.5}}, {"labels": {"target_fraction": 0.9}}],
)
def test_resume_with_other_settings_is_refused(run, tmp_path, changes):
    path = tmp_path / "run.ckpt"
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint=path, report=interrupted_at(1))
    with pytest.raises(TomoPickerError, match="other settings") as refused:
        run(changes=changes, checkpoint=path, resume=True)
    assert str(path) in str(refused.value)
    with pytest.raises(TomoPickerError, match="other settings"):
        run(seed=5, checkpoint=path, resume=True)


def test_a_damaged_checkpoint_is_named(run, tmp_path):
    path = tmp_path / "run.ckpt"
    path.write_bytes(b"\0" * 200)
    with pytest.raises(TomoPickerError, match=str(path)):
        run(checkpoint=path, resume=True)


def test_the_result_is_ready_for_use(run):
    network, _ = run()
    assert not network.training
    assert isinstance(network, ResUNet)  # not the wrapper that averages the weights


def test_history_and_reports(run):
    lines = []
    _, history = run(validation=True, report=lines.append)
    assert [entry["step"] for entry in history] == [line.step for line in lines]
    assert history[-1]["step"] == lines[-1].steps
    for entry in history:
        assert {"step", "risk", "learning_rate", "validation_risk", "validation_accuracy"} <= entry.keys()
        assert 0 <= entry["validation_accuracy"] <= 1
    assert not any("validation_risk" in entry for entry in run()[1])


def test_a_plateau_halves_the_rate(balls, small_settings):
    """Nothing changes at a rate of 1e-7, so no epoch improves on the first; five such and the rate is halved."""
    rate = 1e-7
    settings = small_settings(
        "paper", 9, network={"channels": (2, 4), "start": "scratch"}, training={"learning_rate": rate}
    )
    data = balls().labelled
    _, history = fit([data], [balls(seed=1).labelled], settings, PRIORS, device=CPU)
    rates = [entry["learning_rate"] for entry in history]
    assert len(rates) == 9  # one batch of eight blocks an epoch
    assert rates[:5] == [rate] * 5
    assert rates[7:] == [rate / 2] * 2


def test_one_cycle_warms_up_and_decays(balls, small_settings):
    settings = small_settings(steps=50, network={"channels": (2, 4), "start": "scratch"})
    _, history = fit([balls().labelled], [], settings, PRIORS, device=CPU)
    assert settings.training.learning_rate > history[0]["learning_rate"] > 10 * history[-1]["learning_rate"] > 0


def test_averaged_weights_are_not_the_last_ones(balls, small_settings):
    made = [
        fit([balls().labelled], [], small_settings(steps=20, training={"ema": ema}), PRIORS, device=CPU)[0]
        for ema in (0.0, 0.98)
    ]
    assert not torch.allclose(*(next(network.parameters()) for network in made), rtol=1e-3)


def test_a_risk_that_is_no_number_is_one_line(balls, small_settings):
    data = balls().labelled
    volume = data.volume.copy()
    volume[:] = float("nan")
    broken = type(data)(volume, data.labels, data.positions)
    with pytest.raises(TomoPickerError, match=r"learning_rate.*--seed") as refused:
        fit([broken], [], small_settings(steps=3), PRIORS, device=CPU)
    assert "\n" not in str(refused.value)
