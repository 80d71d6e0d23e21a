"""The kinds of synthetic tomogram: phase plate, defocus, an easy one for quick tests, and a hard one."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tomopicker.errors import UsageError
from tomopicker.simulation.molecules import check_voxel_size
from tomopicker.simulation.settings import (
    ImagingSettings,
    SceneSettings,
    SimulationSettings,
    one_line_errors,
    parse_changes,
)
from tomopicker.types import Positions, Shape

PRESETS = ("vpp", "defocus", "easy", "hard")
"""`vpp`: phase plate near focus; `defocus`: 2.5-4.5 µm without one; `easy`: phase plate, more dose, little else;
`hard`: as `defocus` with half the dose, a denser cytosol, more look-alikes, and a quarter of the targets in contact."""

_TARGETS_PER_CUBIC_MICROMETRE = 5200.0
"""About 90 in a lamella of 70 voxels by 320 by 320 at 13.48 Å, as crowded as yeast cytosol."""

_DISTRACTOR_SHARES = {
    "large_subunit": 0.15,
    "fatty_acid_synthase": 0.15,
    "proteasome_26s": 0.15,
    "proteasome_20s": 0.35,
    "chaperonin": 0.4,
}
"""Look-alikes per target; any other molecule gets the last share."""

_OTHER_SHARE = 0.55

_FIELD_SQUARE_ANGSTROM = (320 * 13.48) ** 2
"""The field for which the numbers of granules and vesicles are meant."""

_MEAN_FREE_PATH_ANGSTROM = 3000.0
"""Of 300 kV electrons in vitreous ice between two inelastic collisions."""

_FLAT_BELOW_ANGSTROM = 105.0
"""Detail finer than this is weighted alike by the ramp filter of a SIRT-like reconstruction."""

_LAYOUT_MARGIN_ANGSTROM = 160.0
"""From the outermost centres of a given layout to the lamella's faces: a ribosome's radius and a little."""


def resolve_preset(
    preset: str,
    shape: Shape,
    voxel_size_angstrom: float,
    seed: int,
    *,
    molecule_names: tuple[str, ...],
    n_targets: int | None,
    target: str,
    layout: Positions | None = None,
    changes: Mapping[str, object] | None = None,
) -> SimulationSettings:
    """Resolve a preset's name to settings; what varies between tomograms is drawn from the seed.

    Arguments are those of `simulate_tomogram`; of the molecules that the scene can hold, all but the target are
    distractors. With a layout of the targets the lamella is laid around it.

    Raises `UsageError` if the preset or a setting is unknown, or a value is invalid.
    """
    if preset not in PRESETS:
        raise UsageError(f"{preset}: no such preset; choose one of {', '.join(PRESETS)}")
    if target not in molecule_names:
        raise UsageError(f"{target}: no such molecule; choose one of {', '.join(molecule_names)}")
    if len(shape) != 3 or min(shape) < 16:
        raise UsageError(f"shape {shape}: (z, y, x) of at least 16 voxels a side is needed")
    check_voxel_size(voxel_size_angstrom)
    changed = parse_changes(changes or {})
    rng = np.random.default_rng([seed, 1])
    easy, hard = preset == "easy", preset == "hard"
    depth = shape[0] * voxel_size_angstrom
    thickness = min(depth * 0.9, max(depth * rng.uniform(0.52, 0.7), 330.0))
    middle = None
    if layout is not None:
        lowest, highest = float(layout[:, 2].min()), float(layout[:, 2].max())
        middle = (lowest + highest) / 2
        thickness = min(depth, (highest - lowest) * voxel_size_angstrom + 2 * _LAYOUT_MARGIN_ANGSTROM)
    thickness = changed["scene"].get("thickness_angstrom", thickness)
    area = shape[1] * shape[2] * voxel_size_angstrom**2
    typical = max(3, round(_TARGETS_PER_CUBIC_MICROMETRE * thickness * area * 1e-12 * rng.uniform(0.8, 1.2)))
    others = {name: _DISTRACTOR_SHARES.get(name, _OTHER_SHARE) for name in molecule_names if name != target}
    thinning = 0.3 if easy else 1.4 if hard else 1.0
    scene: dict[str, Any] = {
        "thickness_angstrom": thickness,
        "middle_voxels": middle,
        "n_targets": len(layout) if layout is not None else typical if n_targets is None else n_targets,
        "distractors": tuple((name, round(thinning * share * typical)) for name, share in others.items()),
        "touching_fraction": 0.25 if hard else 0.1,
        "crowd_fraction": 0.06 if easy else 0.18 if hard else 0.14,
        **({"n_membranes": 0, "n_lumps": 0} if easy else _surroundings(hard, area, rng)),
    }
    imaging = _imaging(preset, rng) | ({} if easy else _processing(shape[0], voxel_size_angstrom, thickness))
    with one_line_errors("scene"):
        scene_settings = SceneSettings(shape, voxel_size_angstrom, target=target, **(scene | changed["scene"]))
    with one_line_errors("imaging"):
        imaging_settings = ImagingSettings(voxel_size_angstrom, **(imaging | changed["imaging"]))
    return SimulationSettings(preset, seed, scene_settings, imaging_settings)


def _surroundings(hard: bool, area_square_angstrom: float, rng: np.random.Generator) -> dict[str, Any]:
    """Draw what a lamella holds besides molecules; objects of a fixed size scale in number with the field."""
    fields = max(area_square_angstrom / _FIELD_SQUARE_ANGSTROM, 0.25)
    return {
        "n_membranes": int(rng.integers(1, 4)),
        "paired_membranes": 0.5,
        "n_lumps": round(fields * rng.integers(1, 4)),
        "n_vesicles": round(fields * rng.integers(0, 3)),
        "n_microtubules": int(rng.integers(0, 3)),
        "n_actin_filaments": int(rng.integers(0, 4)),
        "clustered_fraction": 0.3 if hard else 0.15,
        "lamella_tilt_degrees": float(rng.normal(0.0, 5.0 if hard else 2.0)),
        "lamella_pitch_degrees": float(rng.normal(0.0, 3.0 if hard else 1.0)),
        "coating_density": 2.0,
        "curtaining_angstrom": min(60.0 if hard else 25.0, area_square_angstrom**0.5 / 50.0),
        "n_gold_beads": round(fields * rng.integers(0, 3)) if hard else 0,
        "n_ice_lumps": round(fields * rng.integers(1, 3)) if hard else 0,
    }


def _imaging(preset: str, rng: np.random.Generator) -> dict[str, Any]:
    if preset in {"defocus", "hard"}:
        return {
            "tilt_range_degrees": 50.0,
            "tilt_step_degrees": 2.0,
            "defocus_um": float(rng.uniform(2.5, 4.5)),
            "defocus_jitter_um": 0.1,
            "detective_quantum_efficiency": 0.6,
            "dose_per_square_angstrom": 60.0 if preset == "hard" else 120.0,
        }
    return {
        "defocus_um": float(rng.uniform(0.3, 0.5)),
        "defocus_jitter_um": 0.03,
        "phase_shift_degrees": 90.0,
        "detective_quantum_efficiency": 0.4,  # the plate itself scatters electrons away
        "dose_per_square_angstrom": 300.0 if preset == "easy" else 100.0,
        "radiation_damage": preset != "easy",
    }


def _processing(depth_voxels: int, voxel_size_angstrom: float, thickness_angstrom: float) -> dict[str, Any]:
    """Calibrated against TS_034 of EMPIAR-10988 (benchmarks/calibration.py)."""
    flat_from = min(voxel_size_angstrom / _FLAT_BELOW_ANGSTROM, 0.5)
    return {
        "amplitude_contrast": 0.1,
        "b_factor_square_angstrom": 1500.0,
        "alignment_error_voxels": 0.5 * 13.48 / voxel_size_angstrom,
        "path_attenuation": thickness_angstrom / _MEAN_FREE_PATH_ANGSTROM,
        "binning_fall_off": 0.86,
        "tilt_weighting": 1.8,
        "ramp_fall_off": 0.99,
        # One round of SIRT more for each cycle across the depth, and the ramp rises up to there; beyond it is flat.
        "sirt_like_iterations": max(1, round(flat_from * depth_voxels * np.deg2rad(100.0))),
    }
