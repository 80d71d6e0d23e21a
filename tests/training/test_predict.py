"""Inference: tiles with a halo give what one pass over the whole volume gives; without one, the paper's blocks."""

import numpy as np
import pytest
import torch
from torch import nn

from tomopicker.inference.tiles import score_volumes
from tomopicker.models.precision import uses_bfloat16
from tomopicker.models.resunet import ResUNet
from tomopicker.training.batchnorm import fuse_conv_bn

CPU = torch.device("cpu")


def score_volume(*arguments, **options):
    """The only output's scores."""
    (scores,) = score_volumes(*arguments, **options)
    return scores


@pytest.fixture(scope="module", params=["resunet", "multires"])
def network(request):
    """Random, but with statistics of its own, as after training."""
    torch.manual_seed(0)
    made = ResUNet(request.param, (4, 8))
    made.train()
    with torch.no_grad():
        for _ in range(3):
            made(torch.randn(2, 1, 16, 16, 16))
    return made.eval()


def noise(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def forward(network, volume):
    with torch.no_grad():
        return network(torch.from_numpy(np.ascontiguousarray(volume))[None, None])[0, 0].numpy()


@pytest.mark.parametrize("shape", [(13, 18, 35), (5, 33, 20), (16, 16, 24)])
def test_tiles_with_a_halo_are_one_pass(network, shape):
    """Beyond its borders the volume is 0; within reach of a score nothing else differs."""
    volume = noise(shape)
    halo = network.reach
    tiled = score_volume(network, volume, core=16, halo=halo, device=CPU, precision="float32")
    padded = np.pad(volume, [(halo, halo + edge % 2) for edge in shape])
    whole = forward(network, padded)[tuple(slice(halo, halo + edge) for edge in shape)]
    assert tiled.shape == shape
    assert whole.std() > 0.01
    np.testing.assert_allclose(tiled, whole, atol=1e-4)


def test_fused_networks_score_alike_and_normalise_no_more(network):
    volume = noise((16, 24, 16))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    merged = fuse_conv_bn(network)
    np.testing.assert_allclose(forward(merged, volume), forward(network, volume), atol=1e-5)
    followed = [row for row in merged.modules() if isinstance(row, nn.Sequential) and isinstance(row[0], nn.Conv3d)]
    assert followed
    assert not any(isinstance(layer, nn.BatchNorm3d) for row in followed for layer in row)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_too_small_a_halo_differs(network):
    """Shows that the test above can fail."""
    volume = noise((16, 16, 40))
    exact = score_volume(network, volume, core=16, halo=network.reach, device=CPU, precision="float32")
    rough = score_volume(network, volume, core=16, halo=4, device=CPU, precision="float32")
    assert np.abs(exact - rough).max() > 1e-3


@pytest.mark.parametrize("shape", [(24, 24, 24), (25, 16, 30), (10, 24, 49)])
def test_without_a_halo_each_block_is_scored_alone(network, shape):
    """Section 3.4, literally: cut into 24³ blocks (padded with the mean, 0), score each, put together."""
    volume = noise(shape)
    size = 24
    padded = np.pad(volume, [(0, -edge % size) for edge in shape])
    literal = np.zeros_like(padded)
    for corner in np.ndindex(*(edge // size for edge in padded.shape)):
        block = tuple(slice(c * size, (c + 1) * size) for c in corner)
        literal[block] = forward(network, padded[block])
    scores = score_volume(network, volume, core=size, halo=0, device=CPU, precision="float32")
    np.testing.assert_allclose(scores, literal[tuple(slice(0, edge) for edge in shape)], atol=1e-5)


def test_the_network_is_used_in_evaluation_mode(network):
    volume = noise((16, 16, 16))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first = score_volume(network, volume, core=16, halo=8, device=CPU, precision="float32")
    network.train()
    second = score_volume(network, volume, core=16, halo=8, device=CPU, precision="float32")
    assert np.array_equal(first, second)
    assert not network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_view_in_any_order_is_read_as_it_looks(network):
    volume = noise((16, 24, 20))
    turned = volume.transpose(2, 1, 0)
    expected = score_volume(network, turned.copy(), core=16, halo=8, device=CPU, precision="float32")
    assert np.array_equal(score_volume(network, turned, core=16, halo=8, device=CPU, precision="float32"), expected)


def test_progress_counts_the_tiles(network):
    seen = []
    score_volume(
        network, noise((17, 8, 30)), core=16, halo=8, device=CPU, progress=lambda done, all_: seen.append((done, all_))
    )
    assert seen == [(i, 4) for i in range(1, 5)]


def test_only_tiles_that_reach_into_a_mask_are_scored(network):
    """The same scores inside, fewer tiles, and the least of all scores where none was computed."""
    volume = noise((24, 33, 64))
    mask = np.zeros(volume.shape, dtype=bool)
    mask[5:20, 10:14, 3:12] = True
    mask[9, 30, 50] = True
    halo, steps = network.reach + network.reach % 2, []
    options = {"core": 16, "halo": halo, "device": CPU, "precision": "float32"}
    whole = score_volume(network, volume, **{**options, "core": 64})
    part = score_volume(network, volume, **options, mask=mask, progress=lambda done, total: steps.append(total))
    np.testing.assert_allclose(part[mask], whole[mask], atol=1e-4)
    assert len(steps) == 2  # of 1 × 2 × 4 in the box around the mask
    assert np.isfinite(part).all()
    assert (part[:, :, 60:] == part.min()).all()


def test_without_a_halo_masked_blocks_are_those_of_the_whole_volume(network):
    volume = noise((48, 24, 50))
    mask = np.zeros(volume.shape, dtype=bool)
    mask[30:40, 5:9, 26:30] = True
    whole, part = (
        score_volume(network, volume, core=24, halo=0, device=CPU, precision="float32", mask=m) for m in (None, mask)
    )
    np.testing.assert_allclose(part[24:, :, 24:48], whole[24:, :, 24:48], atol=1e-5)
    assert (part[:24] == part.min()).all()


def test_an_empty_mask_scores_nothing(network):
    scores = score_volume(
        network, noise((16, 16, 16)), core=16, halo=8, device=CPU, mask=np.zeros((16, 16, 16), dtype=bool)
    )
    assert (scores == 0).all()


def test_bfloat16_is_close(network):
    """Asked for, it is used, supported by the hardware or not."""
    volume = noise((16, 16, 16))
    exact, rough = (
        score_volume(network, volume, core=16, halo=8, device=CPU, precision=p) for p in ("float32", "bfloat16")
    )
    assert rough.dtype == np.float32
    assert not np.array_equal(exact, rough)
    assert np.abs(exact - rough).max() < 0.25 * exact.std()
    assert np.corrcoef(exact.ravel(), rough.ravel())[0, 1] > 0.998


def test_precision_asked_for_wins_over_the_hardware():
    assert uses_bfloat16("bfloat16", CPU)
    assert not uses_bfloat16("float32", CPU)
