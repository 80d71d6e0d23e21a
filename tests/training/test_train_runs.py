"""The loop's promises: a seed decides everything, a resumed run ends as an unbroken one, a plateau halves the rate."""

import json
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from tomopicker.errors import TomoPickerError
from tomopicker.models.resunet import ResUNet
from tomopicker.pu.prior import Priors
from tomopicker.training.fingerprint import check_same_run, run_fingerprint
from tomopicker.training.loop import fit, precision_of_steps

CPU = torch.device("cpu")
PRIORS = Priors(0.01, 0.03, 0.02)


def weights(network):
    return torch.cat([value.double().flatten() for value in network.state_dict().values()])


@pytest.fixture(scope="module", params=["default", "paper"])
def run(request, balls, small_settings):
    """Train for two reports' worth of steps: two times 25, or four epochs."""
    steps, patches = (50, {"size": 8, "batch": 4}) if request.param == "default" else (4, {})

    def make(seed=0, validation=False, preset=request.param, changes=None, **options):
        parts = {"network": {"channels": (2, 4), "dropout": 0.2, "pretrained": "none"}, "patches": patches}
        parts |= {"objective": {"loss": "kl", "prior_momentum": 0.9}} | (changes or {})
        settings = small_settings(preset, steps, seed, **parts)
        watched = [balls(seed=1).labelled] if validation else []
        return fit([balls().labelled], watched, settings, PRIORS, device=CPU, **options)

    return make


@pytest.fixture(scope="module")
def unbroken(run):
    """What a run that nothing disturbs gives, without validation and with it."""
    return {validation: run(validation=validation) for validation in (False, True)}


def interrupted_at(report_number):
    seen = []

    def report(line):
        seen.append(line)
        if len(seen) == report_number:
            raise KeyboardInterrupt

    return report


def test_the_seed_decides_everything(run, unbroken):
    again, other = (weights(run(seed=seed)[0]) for seed in (0, 1))
    first = weights(unbroken[False][0])
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_random_numbers_inside_and_outside_are_apart(run, unbroken):
    """What the caller draws meanwhile changes nothing, and the caller's numbers go on as if there were no training."""
    torch.manual_seed(77)
    expected, drawn = torch.rand(6), []
    torch.manual_seed(77)
    network, _ = run(report=lambda _: drawn.append(torch.rand(1)))
    assert torch.equal(weights(network), weights(unbroken[False][0]))
    rest = torch.rand(6 - len(drawn))
    assert torch.equal(torch.cat([*drawn, rest]), expected)


@pytest.mark.parametrize("validation", [False, True])
def test_a_resumed_run_ends_as_an_unbroken_one(run, unbroken, tmp_path, validation):
    whole, history = unbroken[validation]
    path = tmp_path / "run.ckpt"
    with pytest.raises(KeyboardInterrupt):
        run(validation=validation, checkpoint=path, report=interrupted_at(1))
    lines = []
    resumed, joined = run(validation=validation, checkpoint=path, resume=True, report=lines.append)
    assert lines[0].step > 1  # it did not start again
    assert torch.equal(weights(resumed), weights(whole))
    assert joined == history


def test_a_finished_run_resumed_gives_the_same(run, tmp_path):
    path = tmp_path / "run.ckpt"
    first, history = run(checkpoint=path)
    lines = []
    again, same = run(checkpoint=path, resume=True, report=lines.append)
    assert not lines
    assert torch.equal(weights(first), weights(again))
    assert same == history


def test_resume_without_a_checkpoint_starts(run, unbroken, tmp_path):
    network, _ = run(checkpoint=tmp_path / "run.ckpt", resume=True)
    assert torch.equal(weights(network), weights(unbroken[False][0]))
    assert (tmp_path / "run.ckpt").exists()


@pytest.fixture
def signals():
    """SIGTERM does here what it does in the command line; both handlers are as before afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, signal.default_int_handler)
    yield
    assert all(signal.getsignal(number) is signal.default_int_handler for number in before)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("numbers", "owner", "name"),
    [
        ([signal.SIGTERM], torch.optim.AdamW, "step"),
        ([signal.SIGINT, signal.SIGINT, signal.SIGTERM], torch.optim.swa_utils.AveragedModel, "forward"),
    ],
)
def test_signals_wait_for_the_end_of_a_step(run, unbroken, tmp_path, monkeypatch, signals, numbers, owner, name):
    """They come when the weights have changed and their average has not, or amid a validation."""
    whole, history = unbroken[True]
    plain, calls = getattr(owner, name), []

    def signalled(*arguments, **options):
        result = plain(*arguments, **options)
        calls.append(0)
        if len(calls) == 3:
            for number in numbers:
                signal.raise_signal(number)
        return result

    path = tmp_path / "run.ckpt"
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, signalled)
        with pytest.raises(KeyboardInterrupt):
            run(validation=True, checkpoint=path)
    resumed, joined = run(validation=True, checkpoint=path, resume=True)
    assert torch.equal(weights(resumed), weights(whole))
    assert joined == history


def test_a_signal_that_ends_a_program_ends_it_after_the_step(run, tmp_path, monkeypatch):
    """A program of the user's that handles SIGTERM its own way is asked, when the checkpoint is there."""
    heard, before = [], signal.getsignal(signal.SIGTERM)
    path = tmp_path / "run.ckpt"
    signal.signal(signal.SIGTERM, lambda number, _: heard.append((number, path.exists())))
    try:
        with pytest.raises(KeyboardInterrupt):
            run(checkpoint=path, report=lambda _: signal.raise_signal(signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [(signal.SIGTERM, True)]


def test_an_ignored_signal_stays_ignored(run, unbroken):
    """As after nohup, or in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        network, _ = run(report=lambda _: signal.raise_signal(signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)
    assert torch.equal(weights(network), weights(unbroken[False][0]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"objective": {"loss": "pn"}}, "objective.loss kl, not pn"),
        ({"training": {"learning_rate": 0.5}}, "not 0.5"),
        ({"labels": {"radius_fraction": 0.9}}, "labels.radius_fraction"),
    ],
)
def test_resume_with_other_settings_is_refused(run, tmp_path, changes, words):
    path = tmp_path / "run.ckpt"
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint=path, report=interrupted_at(1))
    with pytest.raises(TomoPickerError, match="belongs to a run with") as refused:
        run(changes=changes, checkpoint=path, resume=True)
    assert words in str(refused.value)
    assert str(path) in str(refused.value)
    with pytest.raises(TomoPickerError, match="seed 0, not 5"):
        run(seed=5, checkpoint=path, resume=True)


def fingerprint(item, settings):
    return run_fingerprint([item], [], settings, PRIORS, 50)


def same_again(data):
    """The same volume with other last digits, as another machine resamples it."""
    return data.volume * np.float32(1 + 1e-6) + np.float32(1e-6)


def patched(volume):
    changed = volume.copy()
    changed[8:14, 9:15, 10:16] = 0
    return changed


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d, _: replace(d, volume=same_again(d)), None),
        (lambda d, _: replace(d, volume=-d.volume), "other voxels in TS_7"),
        (lambda d, other: replace(d, volume=other.volume), "other voxels in TS_7"),
        (lambda d, _: replace(d, volume=patched(d.volume)), "other voxels in TS_7"),
        (lambda d, _: replace(d, volume=d.volume[:, ::-1].copy()), "other voxels in TS_7"),
        (lambda d, _: replace(d, volume=d.volume[1:], labels=d.labels[1:]), "another size of TS_7"),
        (lambda d, _: replace(d, positions=d.positions[1:]), "other clicks in TS_7"),
        (lambda d, _: replace(d, rejected=d.positions[:1]), "other negatives in TS_7"),
        (lambda d, _: replace(d, mask=d.volume > 0), "another mask of TS_7"),
    ],
)
def test_a_run_is_known_by_its_voxels_and_clicks(balls, small_settings, tmp_path, seed, change, words):
    data, settings = replace(balls(seed=seed).labelled, name="TS_7"), small_settings()
    before = json.loads(json.dumps(fingerprint(data, settings)))
    now = fingerprint(change(data, balls(seed=seed + 1).labelled), settings)
    if words is None:
        check_same_run(tmp_path / "c", before, now)
        return
    with pytest.raises(TomoPickerError, match=words) as refused:
        check_same_run(tmp_path / "c", before, now)
    assert "give --overwrite in place of --resume" in str(refused.value)


def test_a_run_with_another_number_of_tomograms(balls, small_settings, tmp_path):
    data, settings = balls().labelled, small_settings()
    one = run_fingerprint([data], [data], settings, PRIORS, 50)
    two = run_fingerprint([data, data], [data], settings, PRIORS, 50)
    unwatched = run_fingerprint([data], [], settings, PRIORS, 50)
    with pytest.raises(TomoPickerError, match="1 tomogram, not 2"):
        check_same_run(tmp_path / "c", one, two)
    with pytest.raises(TomoPickerError, match="1 validation tomogram, not 0"):
        check_same_run(tmp_path / "c", one, unwatched)


def test_resume_with_other_greys_is_refused(balls, small_settings, tmp_path):
    data, settings, path = balls().labelled, small_settings(steps=2), tmp_path / "run.ckpt"
    fit([data], [], settings, PRIORS, device=CPU, checkpoint=path)
    with pytest.raises(TomoPickerError, match="other voxels"):
        fit([replace(data, volume=-data.volume)], [], settings, PRIORS, device=CPU, checkpoint=path, resume=True)


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
        "paper", 9, network={"channels": (2, 4), "pretrained": "none"}, training={"learning_rate": rate}
    )
    data = balls().labelled
    _, history = fit([data], [balls(seed=1).labelled], settings, PRIORS, device=CPU)
    rates = [entry["learning_rate"] for entry in history]
    assert len(rates) == 9  # one batch of eight blocks an epoch
    assert rates[:5] == [rate] * 5
    assert rates[7:] == [rate / 2] * 2


def test_one_cycle_warms_up_and_decays(balls, small_settings):
    patches, network = {"size": 8, "batch": 2}, {"channels": (2, 4), "pretrained": "none"}
    settings = small_settings(steps=50, patches=patches, network=network)
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


def test_weights_that_the_last_step_broke_are_no_result(balls, small_settings):
    """The loss of a step is that before it."""
    settings = small_settings(steps=1, training={"learning_rate": 1e37}, network={"channels": (2, 4)})
    with pytest.raises(TomoPickerError, match=r"weights.*learning_rate") as refused:
        fit([balls().labelled], [], settings, PRIORS, device=CPU)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("size", "bfloat16"), [(16, False), (24, True), (48, True)])
def test_tiny_patches_train_in_float32_on_a_cpu(small_settings, size, bfloat16):
    """Gradients of bfloat16 convolutions of 2 voxels an edge are now and then NaN: three trainings of three were."""
    network = ResUNet(channels=(2, 4, 8), stride=2)
    assert network.divisor == 8
    settings = small_settings("default", 2, 0, precision="bfloat16", patches={"size": size, "batch": 2})
    expected = "bfloat16" if bfloat16 else "float32"
    assert precision_of_steps(network, settings, CPU) == expected
    assert precision_of_steps(network, settings, torch.device("cuda")) == "bfloat16"


def test_the_precision_of_steps_is_that_of_the_gradient(balls, small_settings, monkeypatch):
    seen = []
    monkeypatch.setattr(ResUNet, "forward", recorded(ResUNet.forward, seen))
    parts = {"network": {"channels": (2, 4), "pretrained": "none"}, "precision": "bfloat16"}
    for size in (8, 16):
        settings = small_settings("default", 2, 0, patches={"size": size, "batch": 2}, **parts)
        fit([balls().labelled], [], settings, PRIORS, device=CPU)
    steps = [dtype for training, dtype in seen if training]
    assert set(steps[:2]) == {torch.float32} and set(steps[-2:]) == {torch.bfloat16}


def recorded(forward, seen):
    def call(network, patches):
        logits = forward(network, patches)
        seen.append((torch.is_grad_enabled(), logits.dtype))
        return logits

    return call
