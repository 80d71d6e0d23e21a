"""Several networks averaged into one."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from tomopicker.config import resolve
from tomopicker.engine.checkpoint import build_network
from tomopicker.engine.soup import APART, fit_mean, mean_weights
from tomopicker.engine.train import fit, refit
from tomopicker.errors import UsageError
from tomopicker.pretraining.train import Recipe, save_pretrained

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Weights for a small network to start from."""
    path = tmp_path_factory.mktemp("soup") / "start.safetensors"
    network = build_network(resolve({"particle_diameter": 60.0, "network": {"channels": (8, 12)}}))
    weights = {name: value for name, value in network.state_dict().items() if not name.startswith("head.")}
    save_pretrained(path, weights, Recipe())
    return str(path)


@pytest.fixture
def settings_for(small_settings, start):
    def make(networks, seed=0, **training):
        return small_settings("default", 6, seed, network={"start": start}, training={"networks": networks, **training})

    return make


def weights_of(network):
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def test_weights_are_averaged():
    networks = [nn.Linear(2, 1, bias=False) for _ in range(3)]
    for network, values in zip(networks, ([1.0, 0.0], [2.0, 6.0], [6.0, -3.0]), strict=True):
        network.weight.data = torch.tensor([values])
    np.testing.assert_allclose(mean_weights(networks).weight.detach(), [[3.0, 1.0]])


def test_the_mean_is_of_the_networks_that_the_seeds_give(balls, settings_for):
    data = [balls().labelled]
    mean, history = fit_mean(data, [], settings_for(2), None, device=CPU)
    alone = [fit(data, [], settings_for(1, seed), None, device=CPU)[0] for seed in (0, APART)]
    torch.testing.assert_close(weights_of(mean), (weights_of(alone[0]) + weights_of(alone[1])) / 2)
    assert not torch.allclose(weights_of(alone[0]), weights_of(alone[1]))
    assert [line["network"] for line in history] == [1, 2]
    assert not mean.training


def test_statistics_of_batch_normalisation_are_measured_with_the_mean(balls, settings_for):
    """Those that `refit` measures, and so neither network's own nor an average of both."""
    data, settings = [balls().labelled], settings_for(2)
    mean, _ = fit_mean(data, [], settings, None, device=CPU)
    again = copy.deepcopy(mean)
    refit(again, data, settings, CPU)
    alone = [fit_mean(data, [], settings_for(1, seed), None, device=CPU)[0] for seed in (0, APART)]
    found, expected, *others = (statistics_of(each) for each in (mean, again, *alone))
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, others[0], rtol=1e-3)
    assert not torch.allclose(found, (others[0] + others[1]) / 2, rtol=1e-3)


def statistics_of(network):
    """The last layer's: those that the weights before it change most."""
    return [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm3d)][-1].running_var


def test_one_network_is_the_plain_training(balls, settings_for):
    data = [balls().labelled]
    mean, _ = fit_mean(data, [], settings_for(1), None, device=CPU)
    plain, _ = fit(data, [], settings_for(1), None, device=CPU)
    torch.testing.assert_close(weights_of(mean), weights_of(plain), rtol=0, atol=0)


def test_steps_count_on_and_an_interrupted_run_ends_where_it_would_have(balls, settings_for, tmp_path):
    data, settings = [balls().labelled], settings_for(3, steps=30)
    heard = []
    whole, _ = fit_mean(data, [], settings, None, device=CPU, report=heard.append)
    assert [(line.step, line.steps) for line in heard] == [(n, 90) for n in (25, 30, 55, 60, 85, 90)]

    def interrupt(line):
        if line.step == 55:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "model.train.ckpt"
    with pytest.raises(KeyboardInterrupt):
        fit_mean(data, [], settings, None, device=CPU, checkpoint=checkpoint, report=interrupt)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.train.ckpt", "model.train2.ckpt"]
    resumed, _ = fit_mean(data, [], settings, None, device=CPU, checkpoint=checkpoint, resume=True)
    torch.testing.assert_close(weights_of(resumed), weights_of(whole), rtol=0, atol=0)


def test_networks_from_scratch_are_not_averaged():
    with pytest.raises(UsageError, match=r"training\.networks must be 1 if network\.start is scratch"):
        resolve({"particle_diameter": 300.0, "network": {"start": "scratch"}})
