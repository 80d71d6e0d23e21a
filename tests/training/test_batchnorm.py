"""Mostly vacuum: scores in evaluation mode are finite and close to those in training mode, for both presets' networks.

The published program gave logits of -1e8 in the lamella here, and -1e34 in the vacuum.
"""

import copy

import numpy as np
import pytest
import torch

from tomopicker.config import resolve
from tomopicker.inference.tiles import score_volumes
from tomopicker.models.resunet import ResUNet
from tomopicker.pu.prior import class_priors
from tomopicker.training.batchnorm import adapt_batchnorm, update_batchnorm
from tomopicker.training.labels import LabelledVolume, label_mask
from tomopicker.training.loop import fit
from tomopicker.training.samplers import BalancedPatchSampler, GridPatchSampler

CPU = torch.device("cpu")
SIZE = 16


@pytest.fixture(scope="module")
def lamella():
    """A quarter of the sections hold specimen; the others next to nothing, and the last block is mostly padding."""
    rng = np.random.default_rng(0)
    shape = (66, 32, 32)
    positions = np.array([[8.0, 8.0, 24.0], [22.0, 10.0, 25.0], [12.0, 24.0, 22.0], [25.0, 25.0, 26.0]])
    labels = label_mask(shape, positions, 3.0)
    volume = 0.01 * rng.standard_normal(shape)
    volume[16:32] += rng.standard_normal((16, 32, 32)) - 4 * (labels == 1)[16:32] - 1
    volume = ((volume - volume.mean()) / volume.std()).astype(np.float32)
    return LabelledVolume(volume, labels, positions)


def settings_for(preset):
    return resolve(
        {
            "preset": preset,
            "particle_diameter": 60.0,
            "precision": "float32",
            "patches": {"size": SIZE, "batch": 8},
            "network": {"channels": (4, 8, 12) if preset == "default" else (4, 6, 8, 12), "pretrained": "none"},
            "training": {"steps": 25} if preset == "default" else {"epochs": 8},
            "inference": {"tile": 16},
        }
    )


def sampler_for(preset, item, settings):
    """What training sees."""
    if preset == "paper":
        return GridPatchSampler([item], SIZE, 8, 0)
    return BalancedPatchSampler([item], SIZE, 8, 0, augmented=True, rotation_prob=settings.patches.rotation_prob)


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_evaluation_is_close_to_training(lamella, preset):
    settings = settings_for(preset)
    labels = lamella.labels
    priors = class_priors(int((labels == 1).sum()), labels.size, 123, 8.0)
    network, _ = fit([lamella], [], settings, priors, device=CPU)
    scores = score_volumes(network, lamella.volume, core=SIZE, halo=0, device=CPU, precision="float32")[0]
    assert np.isfinite(scores).all()
    assert np.abs(scores).max() < 100

    sampler = sampler_for(preset, lamella, settings)
    inputs = torch.from_numpy(np.concatenate([sampler.batch(step).inputs for step in range(6)]))
    with torch.no_grad():
        evaluated = network(inputs).numpy()
        trained = copy.deepcopy(network).train()(inputs).numpy()
    difference = np.abs(evaluated - trained)
    assert trained.std() > 0.05
    assert difference.mean() < 0.5 * trained.std()
    assert np.corrcoef(evaluated.ravel(), trained.ravel())[0, 1] > 0.9


def batches(count=4):
    generator = torch.Generator().manual_seed(0)
    return [3 * torch.randn(4, 1, 8, 8, 8, generator=generator) + 5 for _ in range(count)]


def test_statistics_are_plain_means_over_the_batches():
    """Of the first layer, whose input does not depend on other statistics."""
    network = ResUNet(channels=(3, 4))
    update_batchnorm(network, batches(), CPU, "float32")
    convolution, norm = network.encoder[0].first[0], network.encoder[0].first[1]
    with torch.no_grad():
        outputs = [convolution(batch) for batch in batches()]
    mean = torch.stack([out.mean(dim=(0, 2, 3, 4)) for out in outputs]).mean(dim=0)
    variance = torch.stack([out.var(dim=(0, 2, 3, 4)) for out in outputs]).mean(dim=0)
    torch.testing.assert_close(norm.running_mean, mean, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(norm.running_var, variance, rtol=1e-4, atol=1e-4)


def test_what_was_gathered_before_is_forgotten():
    network = ResUNet(channels=(3, 4))
    other = copy.deepcopy(network)
    with torch.no_grad():
        for _ in range(5):
            other.train()(torch.full((2, 1, 8, 8, 8), 1e6))
    for each in (network, other):
        update_batchnorm(each, batches(), CPU, "float32")
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name], msg=name)


def test_weights_momentum_and_mode():
    network = ResUNet(channels=(3, 4), dropout=0.5)
    before = [p.detach().clone() for p in network.parameters()]
    update_batchnorm(network, batches(), CPU, "float32")
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert not any(module.training for module in network.modules())
    assert {m.momentum for m in network.modules() if isinstance(m, torch.nn.BatchNorm3d)} == {0.1}


def test_dropout_is_off_meanwhile():
    network = ResUNet(channels=(3, 4), dropout=0.5)
    update_batchnorm(network, batches(), CPU, "float32")
    first = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(99)
    update_batchnorm(network, batches(), CPU, "float32")
    assert all(torch.equal(value, first[name]) for name, value in network.state_dict().items())


def test_adapted_to_a_volume_takes_up_its_gain():
    """Scores of a volume and of the same with three times the contrast agree once the network is adapted to each."""
    torch.manual_seed(0)
    network = ResUNet(channels=(4, 8)).eval()
    volume = np.random.default_rng(0).standard_normal((24, 24, 24)).astype(np.float32)
    other = (3 * volume).astype(np.float32)

    def score(used, what):
        return score_volumes(used, what, core=24, halo=0, device=CPU, precision="float32")[0]

    own, others = (score(adapt_batchnorm(network, v, SIZE, CPU, "float32"), v) for v in (volume, other))
    np.testing.assert_allclose(others, own, atol=0.01 * own.std())
    assert np.abs(score(network, volume) - score(network, other)).max() > own.std()


def test_adapting_leaves_the_network_alone_and_is_repeatable():
    torch.manual_seed(0)
    network = ResUNet(channels=(3, 4)).eval()
    before = copy.deepcopy(network.state_dict())
    volume = np.random.default_rng(1).standard_normal((10, 30, 30)).astype(np.float32)  # thinner than a patch
    first, second = (adapt_batchnorm(network, volume, SIZE, CPU, "float32").state_dict() for _ in range(2))
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(torch.equal(first[name], value) for name, value in second.items())
    assert any(not torch.equal(first[name], before[name]) for name in before)
