"""A model file of a discriminant: it picks like any other, and as the features in memory do."""

import numpy as np
import pytest
import torch

from tests.fewshot.conftest import DIAMETER
from tests.fewshot.test_instant import f1, some
from tomopicker import api
from tomopicker.cli.app import run
from tomopicker.errors import UsageError
from tomopicker.models.discriminant import DiscriminantNetwork
from tomopicker.models.resunet import ResUNet
from tomopicker.picks import Picks


@pytest.fixture(scope="module")
def path(first, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "instant.model"
    settings = api.settings(DIAMETER, "instant")
    rejected = Picks.of("TS_1", np.array([[200.0, 1700.0, 400.0]]))
    model = api.train([first[0]], some(first[1], *range(6)), settings, negatives=rejected, device="cpu")
    api.save_model(path, model)
    return path


def test_the_file_holds_what_was_clicked_and_what_is_like_it(path, features, first):
    network = api.load_model(path).network
    assert isinstance(network, DiscriminantNetwork)
    at = features.specimen.at(features.working.from_angstrom(first[1].positions[:6]))
    np.testing.assert_allclose(network.clicks[:6], at, rtol=0.02, atol=0.02)
    assert 6 < len(network.clicks) <= 6 + 20, "18 other particles are in the tomogram"
    assert len(network.rejected) > 50
    assert network.clicks.dtype == torch.float64
    assert not network.weights.any(), "the linear map is that of a tomogram, and is none of the model's"


def test_it_picks_another_tomogram(path, second, first):
    picked = api.pick(second[0], api.load_model(path), device="cpu")
    assert f1(picked.picks, second[1]) > 0.75
    assert picked.count.low <= len(second[1]) <= picked.count.high * 1.2
    again = api.pick(first[0], api.load_model(path), device="cpu")
    assert f1(again.picks, first[1]) > 0.75


def test_it_scores_as_features_in_memory_do(path, first, features):
    """But for the statistics, which are of a part of the specimen, and for tiles."""
    rejected = Picks.of("TS_1", np.array([[200.0, 1700.0, 400.0]]))
    there = api.instant(features, some(first[1], *range(6)), rejected).score_volume("TS_1")
    here = api.pick(first[0], api.load_model(path), device="cpu")
    inside = here.working.mask
    assert np.corrcoef(there[inside], here.logits[inside])[0, 1] > 0.99


def test_the_network_is_linear_in_the_levels():
    torch.manual_seed(0)
    network = DiscriminantNetwork(ResUNet(channels=(4, 6, 8), stride=2)).eval()
    patches = torch.randn(1, 1, 16, 16, 16)
    total = torch.zeros(1, 1, 16, 16, 16)
    for channel in range(10):
        network.weights = torch.eye(10)[channel : channel + 1]
        total += (channel + 1) * network(patches)
    network.weights, network.bias = torch.arange(1.0, 11.0)[None], torch.tensor([0.5])
    torch.testing.assert_close(network(patches), total + 0.5, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("flag", [["--steps", "20"], ["--loss", "kl"], ["--epochs", "3"]])
def test_options_of_training_are_refused(tmp_path, capsys, flag):
    arguments = ["train", "a.mrc", "--picks", "b.csv", "-d", "300", "--preset", "instant", "-o", str(tmp_path / "m")]
    assert run([*arguments, *flag]) == 2
    assert f"{flag[0]}: nothing is trained" in capsys.readouterr().err


def test_random_weights_are_refused():
    with pytest.raises(UsageError, match="must not be none"):
        api.settings(DIAMETER, "instant", network={"pretrained": "none"})
    with pytest.raises(UsageError, match=r"inference\.adabn must be true"):
        api.settings(DIAMETER, "instant", inference={"adabn": False})


def test_the_command_suggests_places_that_are_read_as_clicks(tmp_path, first, cache, capsys):
    api.write_mrc(tmp_path / "TS_1.mrc", first[0].data, first[0].voxel_size)
    api.write_picks(some(first[1], 0), {"TS_1": first[0].frame}, tmp_path / "clicks.csv")
    output = tmp_path / "next.csv"
    arguments = ["suggest", str(tmp_path / "TS_1.mrc"), "-d", str(DIAMETER), "-o", str(output), "--cache", str(cache)]
    assert run([*arguments, "--picks", str(tmp_path / "clicks.csv"), "--count", "3"]) == 0
    assert "particle" in capsys.readouterr().out
    opened = api.open_tomogram(tmp_path / "TS_1.mrc")
    back = api.read_picks(output, [opened])
    assert len(back) == 3
    assert {"probability", "reason"} <= set(back.extra.columns)
    assert run([*arguments, "--picks", str(tmp_path / "clicks.csv")]) == 2, "the file is there"
    assert run([*arguments, "--overwrite", "--count", "4"]) == 0
    assert "kind of object" in output.read_text()
    assert run([*arguments, "--overwrite", "--negatives", str(output)]) == 2
