"""Pretraining: random molecules, scenes, and the classifier."""

import signal
from dataclasses import asdict

import numpy as np
import pytest
import torch
from scipy import ndimage

from tests.interruption import signal_in_step
from tomopicker.cli.app import run
from tomopicker.config import resolve
from tomopicker.errors import TomoPickerError
from tomopicker.pretraining.imaging import draw_imaging
from tomopicker.pretraining.molecules import BOX, MAX_DIAMETER, draw_library, random_molecule
from tomopicker.pretraining.recipe import Recipe
from tomopicker.pretraining.run import save_pretrained
from tomopicker.pretraining.scenes import EDGE, TARGET_RADIUS, Scene, draw_scene, label, random_orientation
from tomopicker.pretraining.train import Classifier, cut_cubes, loss_terms, pretrain
from tomopicker.training.checkpoint import CHECKPOINT, PRETRAINED, build_network, load_tensors, save_tensors
from tomopicker.training.pretrained import load_pretrained


@pytest.fixture(scope="module")
def library():
    return draw_library(6, 2, seed=3)


def test_a_molecule_is_centred_and_fits_its_box(library):
    for class_index in range(6):
        for orientation in range(2):
            density = library.densities[class_index, orientation].astype(float)
            np.testing.assert_allclose(ndimage.center_of_mass(density), BOX // 2, atol=0.1)
            assert density.min() >= 0
            assert density[0].max() < 1e-2
    assert (library.radii > 2).all()
    assert (library.radii <= MAX_DIAMETER).all()


def test_a_molecule_stays_where_its_label_is_however_it_is_turned(library):
    rng = np.random.default_rng(0)
    for class_index in range(6):
        for _ in range(8):
            turned = random_orientation(library, class_index, rng)
            assert len(turned) == BOX
            np.testing.assert_allclose(ndimage.center_of_mass(turned), BOX // 2, atol=0.15)


def test_turning_keeps_the_mass_and_changes_the_picture(library):
    sums = library.densities.astype(float).sum(axis=(2, 3, 4))
    np.testing.assert_allclose(sums[:, 0], sums[:, 1], rtol=0.02)
    assert np.abs(library.densities[:, 0] - library.densities[:, 1]).max() > 0.1


def test_the_same_seed_draws_the_same(library):
    again = draw_library(6, 2, seed=3)
    np.testing.assert_array_equal(library.densities, again.densities)
    one, two = (draw_scene(library, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one.volume, two.volume)
    np.testing.assert_array_equal(one.positions, two.positions)


def test_every_shape_gives_a_molecule():
    rng = np.random.default_rng(0)
    assert all(random_molecule(rng).max() > 0.2 for _ in range(8))


def test_molecules_of_a_scene_are_dark_and_apart(library):
    rng = np.random.default_rng(1)
    inside, everywhere = [], []
    for _ in range(4):
        scene = draw_scene(library, rng)
        assert scene.volume.shape == (EDGE, EDGE, EDGE)
        assert abs(scene.volume.mean()) < 1e-3
        assert abs(scene.volume.std() - 1) < 1e-3
        assert len(scene.positions) > 5
        apart = np.abs(scene.positions[:, None] - scene.positions[None])
        apart = np.sqrt((np.minimum(apart, EDGE - apart) ** 2).sum(axis=-1)) + 99 * np.eye(len(scene.positions))
        assert apart.min() > 1.5 * library.radii.min() * 0.75
        labels = label(scene)
        half = scene.volume.reshape(EDGE // 2, 2, EDGE // 2, 2, EDGE // 2, 2).mean(axis=(1, 3, 5))
        inside.append(half[labels > 0].mean())
        everywhere.append(half[labels == 0].mean())
    assert np.mean(inside) < np.mean(everywhere) - 0.3


def test_what_the_wedge_leaves_out_is_empty():
    rng = np.random.default_rng(2)
    imaging = draw_imaging(32, rng)
    noise = imaging.noise((32, 32, 32), 1.0, rng)
    spectrum = np.abs(np.fft.rfftn(noise))
    missing = imaging.wedge == 0
    missing[16], missing[:, 16], missing[..., 16] = False, False, False  # The Nyquist plane has no sign.
    assert spectrum[missing].max() < 1e-3 * spectrum.max()
    assert noise.std() == pytest.approx(1, abs=1e-3)
    along_beam = imaging.wedge[1:, 0, 0]
    assert not along_beam.any()  # No tilt series measures variation along the beam only.
    assert imaging.wedge[0, 1:, 1:].all()  # The untilted image measures its whole plane.
    assert 0.4 < imaging.wedge.mean() < 0.8


def test_a_protein_alone_is_dark():
    scene = np.zeros((32, 32, 32), np.float32)
    scene[14:18, 14:18, 14:18] = 1
    for seed in range(6):
        image = draw_imaging(32, np.random.default_rng(seed)).image(scene)
        assert image[15:17, 15:17, 15:17].mean() < 0


def test_labels_by_hand():
    scene = Scene(np.zeros((EDGE,) * 3, np.float32), np.array([[20, 31, 0]]), np.array([4]))
    labels = label(scene)
    middle = (np.array([20, 31, 0]) + 0.5) / 2 - 0.5
    axis = np.arange(EDGE // 2)
    away = [np.minimum(np.abs(axis - m), EDGE // 2 - np.abs(axis - m)) for m in middle]
    distance = np.sqrt(away[0][:, None, None] ** 2 + away[1][:, None] ** 2 + away[2] ** 2)
    expected = np.where(distance <= TARGET_RADIUS / 2, 5, np.where(distance <= TARGET_RADIUS, -1, 0))
    np.testing.assert_array_equal(labels, expected)


def test_blocks_cut_without_loss():
    cube = np.arange(6**3).reshape(6, 6, 6)
    cut = cut_cubes(cube, 3)
    assert cut.shape == (8, 3, 3, 3)
    np.testing.assert_array_equal(cut[1], cube[:3, :3, 3:])
    np.testing.assert_array_equal(cut[6], cube[3:, 3:, :3])


def test_the_risk_by_hand():
    logits = torch.zeros(1, 3, 1, 1, 4)
    logits[0, :, 0, 0, 0] = torch.log(torch.tensor([0.2, 0.5, 0.3]))
    logits[0, :, 0, 0, 1] = torch.log(torch.tensor([0.2, 0.5, 0.3]))
    logits[0, :, 0, 0, 2] = torch.log(torch.tensor([0.8, 0.1, 0.1]))
    inside, outside, right = loss_terms(logits, torch.tensor([[[[1, 2, 0, -1]]]]))
    assert float(inside) == pytest.approx(-(np.log(0.5) + np.log(0.3)) / 2, abs=1e-5)
    assert float(outside) == pytest.approx(-np.log(0.8), abs=1e-5)
    assert float(right) == pytest.approx(0.5)


@pytest.fixture
def small_scenes(monkeypatch):
    """Use a third of the voxels where results do not depend on the number."""
    monkeypatch.setattr("tomopicker.pretraining.scenes.EDGE", 48)
    monkeypatch.setattr("tomopicker.pretraining.train.EDGE", 48)


@pytest.mark.usefixtures("small_scenes")
def test_pretraining_interrupted_and_resumed_ends_where_it_would_have(tmp_path):
    recipe = Recipe(steps=4, classes=3, orientations=1, seed=1)
    device = torch.device("cpu")
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    whole = pretrain(recipe, device=device)

    checkpoint = tmp_path / "w.ckpt"
    with pytest.MonkeyPatch.context() as patch:
        signal_in_step(patch, 2, signal.SIGINT, signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            pretrain(recipe, device=device, checkpoint=checkpoint)
    assert load_tensors(checkpoint, CHECKPOINT)[1]["step"] == 2
    resumed = pretrain(recipe, device=device, checkpoint=checkpoint, resume=True)
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name
    assert torch.equal(torch.rand(3), expected)
    with pytest.raises(TomoPickerError, match="steps 4, not 5"):
        pretrain(Recipe(steps=5, classes=3, orientations=1, seed=1), device=device, checkpoint=checkpoint, resume=True)


def test_a_training_starts_from_the_weights_but_with_a_new_head(tmp_path):
    recipe = Recipe(steps=1, classes=3, orientations=1)
    weights = Classifier(3).weights()
    path = tmp_path / "start.safetensors"
    save_pretrained(path, weights, asdict(recipe))
    settings = resolve({"particle_diameter": 300.0, "network": {"pretrained": str(path)}})
    network = build_network(settings)
    head = network.head.weight.clone()
    load_pretrained(network, settings.network)
    for name, value in network.state_dict().items():
        if not name.startswith("head."):
            torch.testing.assert_close(value, weights[name].half().to(value.dtype))
    torch.testing.assert_close(network.head.weight, head)


def test_weights_of_another_network_are_refused(tmp_path):
    weights = Classifier(3).weights()
    path = tmp_path / "start.safetensors"
    save_pretrained(path, weights, asdict(Recipe(steps=1, classes=3)))
    settings = resolve({"particle_diameter": 300.0, "network": {"pretrained": str(path), "channels": (8, 16)}})
    with pytest.raises(TomoPickerError, match=r"start\.safetensors: weights of another network .* to none"):
        load_pretrained(build_network(settings), settings.network)
    save_tensors(path, "tomopicker-model", {}, {})
    with pytest.raises(TomoPickerError, match="not a tomopicker weights to start from"):
        load_pretrained(build_network(settings), settings.network)


@pytest.mark.usefixtures("small_scenes")
def test_pretraining_goes_on_from_weights(tmp_path):
    path = tmp_path / "first.safetensors"
    recipe = Recipe(steps=1, classes=2, orientations=1, learning_rate=1e-6)
    first = pretrain(recipe, device=torch.device("cpu"))
    save_pretrained(path, first, asdict(recipe))
    onward = Recipe(steps=1, classes=3, orientations=1, seed=5, learning_rate=1e-6, pretrained=str(path))
    device = torch.device("cpu")
    weights = {name: value for name, value in pretrain(onward, device=device).items() if name.endswith(".weight")}
    for name, value in weights.items():
        torch.testing.assert_close(value, first[name], atol=2e-3, rtol=2e-3)
    scratch = pretrain(Recipe(steps=1, classes=3, orientations=1, seed=5, learning_rate=1e-6), device=device)
    assert not torch.allclose(scratch["stem.0.weight"], first["stem.0.weight"], atol=2e-3)


def test_the_shipped_weights_fit_the_default_preset():
    settings = resolve({"particle_diameter": 300.0})
    network = build_network(settings)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    load_pretrained(network, settings.network)
    changed = [name for name, value in network.state_dict().items() if not torch.equal(value, before[name])]
    assert len(changed) > 30
    assert not any(name.startswith("head.") for name in changed)


@pytest.mark.usefixtures("small_scenes")
def test_the_command(tmp_path, capsys):
    path = tmp_path / "w.safetensors"
    assert (
        run(["pretrain", "--output", str(path), "--steps", "1", "--classes", "2", "--workers", "0", "--device", "cpu"])
        == 0
    )
    tensors, facts = load_tensors(path, PRETRAINED)
    assert facts["recipe"]["classes"] == 2
    assert tensors
    assert not list(tmp_path.glob("*.ckpt"))
    more = [
        "pretrain",
        "--output",
        str(tmp_path / "more.safetensors"),
        "--steps",
        "1",
        "--classes",
        "2",
        "--workers",
        "0",
    ]
    assert run([*more, "--device", "cpu", "--pretrained", str(path)]) == 0
    assert load_tensors(tmp_path / "more.safetensors", PRETRAINED)[1]["recipe"]["pretrained"] == str(path)
    assert run([*more, "--overwrite", "--pretrained", str(tmp_path / "none")]) == 1
    capsys.readouterr()
    assert run(["pretrain", "--output", str(path), "--steps", "1"]) == 2
    assert "--overwrite" in capsys.readouterr().err
