import mrcfile
import numpy as np
import pytest

from tomopicker.errors import TomoPickerError
from tomopicker.simulation.molecules import (
    array_centre,
    builtin_molecule,
    builtin_names,
    centre_of_mass,
    excess_mass_mda,
    load_library,
    load_molecule,
)
from tomopicker.simulation.tomogram import simulate_tomogram

VOXEL = 13.48


@pytest.mark.parametrize("name", builtin_names())
def test_builtin_molecules_are_centred_on_their_centre_of_mass(name):
    molecule = builtin_molecule(name, VOXEL)
    assert np.abs(centre_of_mass(molecule.density) - array_centre(molecule.density.shape)).max() < 0.01
    assert molecule.density.shape[0] % 2 == 1
    assert molecule.density.min() >= 0.0
    assert np.all(molecule.density[[0, -1]] < 0.02 * molecule.density.max())


def test_the_target_has_the_size_and_mass_of_a_ribosome():
    molecule = builtin_molecule("ribosome", 8.0)
    inside = np.argwhere(molecule.density > 0.2 * molecule.density.max()) * 8.0
    extents = np.ptp(inside, axis=0)
    assert 250 < extents.max() < 310
    assert extents.min() > 150
    assert 3.0 < excess_mass_mda(molecule) < 4.2


def test_a_molecule_has_one_mass_at_every_voxel_size():
    masses = [excess_mass_mda(builtin_molecule("proteasome_20s", voxel)) for voxel in (5.0, 10.0, 13.48, 20.0)]
    np.testing.assert_allclose(masses, 0.7, rtol=1e-3)


def test_a_map_of_any_scale_offset_and_place_is_read_alike(tmp_path):
    rng = np.random.default_rng(0)
    z, y, x = np.indices((60, 60, 60)).astype(np.float64)
    shape = np.exp(-(((z - 27) / 8) ** 2) - ((y - 33) / 5) ** 2 - ((x - 31) / 6) ** 2)
    shape += 0.8 * np.exp(-(((z - 35) / 4) ** 2) - ((y - 25) / 4) ** 2 - ((x - 29) / 4) ** 2)
    for name, scale, offset in (("plain", 1.0, 0.0), ("scaled", 40.0, -7.0)):
        noise = rng.normal(0.0, 1e-4 * scale, shape.shape)
        with mrcfile.new(tmp_path / f"{name}.mrc") as file:
            file.set_data((shape * scale + offset + noise).astype(np.float32))
            file.voxel_size = 5.0
    plain = load_molecule(tmp_path / "plain.mrc", VOXEL, mass_mda=1.0)
    scaled = load_molecule(tmp_path / "scaled.mrc", VOXEL, mass_mda=1.0)
    assert excess_mass_mda(plain) == pytest.approx(1.0, rel=1e-3)
    assert np.abs(centre_of_mass(plain.density) - array_centre(plain.density.shape)).max() < 0.01
    np.testing.assert_allclose(plain.density, scaled.density, atol=0.02 * plain.density.max())
    unknown = load_library(tmp_path, VOXEL)
    assert set(unknown) == {"plain", "scaled"}
    assert 0.9 < np.mean(unknown["plain"].density[unknown["plain"].density > unknown["plain"].density.max() / 3]) < 1.1


def test_what_cannot_be_a_molecule_is_one_line(tmp_path):
    (tmp_path / "text.mrc").write_text("no map")
    with mrcfile.new(tmp_path / "flat.mrc") as file:
        file.set_data(np.zeros((10, 10, 10), np.float32))
        file.voxel_size = 5.0
    for path in (tmp_path / "text.mrc", tmp_path / "flat.mrc", tmp_path / "absent.mrc"):
        with pytest.raises(TomoPickerError, match=path.name) as caught:
            load_molecule(path, VOXEL)
        assert "\n" not in str(caught.value)
    with pytest.raises(TomoPickerError, match="no such built-in"):
        builtin_molecule("virus", VOXEL)
    with pytest.raises(TomoPickerError, match="voxel size 0"):
        builtin_molecule("ribosome", 0.0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(TomoPickerError, match="--maps"):
        load_library(tmp_path / "empty", VOXEL)


@pytest.mark.parametrize(
    ("file", "target", "name"),
    [
        ("4v7r.mrc", "4v7r", "ribosome"),
        ("4V4R_50s.mrc", "4v4r_50S", "large_subunit"),
        ("3qm1.map", "esterase", "esterase"),
        ("3QM1.map", "3qm1", "esterase"),
        ("Mine.mrc", "Mine", "Mine"),
    ],
)
def test_a_target_goes_by_its_files_name_or_its_class(tmp_path, file, target, name):
    """Also one so light that it would belong to the crowd were it not the target."""
    z, y, x = np.indices((24, 24, 24)) - 11.5
    for path in (tmp_path / file, tmp_path / "2uv8.mrc"):
        with mrcfile.new(path) as new:
            new.set_data(np.exp(-(x**2 + 2 * y**2 + 3 * z**2) / 40).astype(np.float32))
            new.voxel_size = 10.0
    made = simulate_tomogram("easy", (24, 48, 48), VOXEL, 1, maps=tmp_path, target=target, n_targets=1)
    assert made.settings.scene.target == name
    assert len(made.targets.positions) == 1
    with pytest.raises(TomoPickerError, match="virus: no such molecule"):
        simulate_tomogram("easy", (24, 48, 48), VOXEL, 1, maps=tmp_path, target="virus", n_targets=1)
