"""Presets of the simulation: phase plate, defocus, an easy one for quick tests, and a hard one."""

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np

from tomopicker.errors import UsageError
from tomopicker.simulation.settings import (
    ImagingSettings,
    Preset,
    SceneSettings,
    SimulationSettings,
    one_line_errors,
    parse_changes,
)
from tomopicker.types import Positions, Shape

_TARGETS_PER_CUBIC_MICROMETRE = 5200.0
"""About 90 in a lamella of 70 × 320 × 320 voxels of 13.48 Å, as crowded as yeast cytosol."""

_DISTRACTORS_PER_TARGET = {
    "large_subunit": 0.15,
    "fatty_acid_synthase": 0.15,
    "proteasome_26s": 0.15,
    "proteasome_20s": 0.35,
    "chaperonin": 0.4,
}
_OTHER_DISTRACTORS_PER_TARGET = 0.55
"""Of any other molecule."""

_FIELD_SQUARE_ANGSTROM = (320 * 13.48) ** 2
"""Field of view for which the numbers of granules and vesicles are meant."""

_MEAN_FREE_PATH_ANGSTROM = 3000.0
"""Inelastic mean free path of 300 kV electrons in vitreous ice."""

_FLAT_BELOW_ANGSTROM = 105.0
"""The ramp filter of a SIRT-like reconstruction is flat for finer detail."""

_LAYOUT_MARGIN_ANGSTROM = 160.0
"""Distance from the outermost centres of a layout to the lamella's faces: a little more than a ribosome's radius."""


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
    """Resolve a preset to settings; values that vary between tomograms are drawn from the seed.

    Arguments are those of `simulate_tomogram`; all of `molecule_names` but the target are distractors. A layout of the
    targets determines position and thickness of the lamella.

    Raises `UsageError` if the preset or a setting is unknown, or a value is invalid.
    """
    if preset not in get_args(Preset):
        raise UsageError(f"{preset}: no such preset; choose one of {', '.join(get_args(Preset))}")
    if target not in molecule_names:
        raise UsageError(f"{target}: no such molecule; choose one of {', '.join(molecule_names)}")
    overrides = parse_changes(changes or {})
    rng = np.random.default_rng([seed, 1])
    easy, hard = preset == "easy", preset == "hard"
    depth = shape[0] * voxel_size_angstrom
    thickness = min(depth * 0.9, max(depth * rng.uniform(0.52, 0.7), 330.0))
    middle = None
    if layout is not None:
        lowest, highest = float(layout[:, 2].min()), float(layout[:, 2].max())
        middle = (lowest + highest) / 2
        thickness = min(depth, (highest - lowest) * voxel_size_angstrom + 2 * _LAYOUT_MARGIN_ANGSTROM)
    thickness = overrides["scene"].get("thickness_angstrom", thickness)
    area = shape[1] * shape[2] * voxel_size_angstrom**2
    typical = max(3, round(_TARGETS_PER_CUBIC_MICROMETRE * thickness * area * 1e-12 * rng.uniform(0.8, 1.2)))
    crowding = 0.3 if easy else 1.4 if hard else 1.0
    distractors = tuple(
        (name, round(crowding * _DISTRACTORS_PER_TARGET.get(name, _OTHER_DISTRACTORS_PER_TARGET) * typical))
        for name in molecule_names
        if name != target
    )
    scene: dict[str, Any] = {
        "shape": shape,
        "voxel_size_angstrom": voxel_size_angstrom,
        "target": target,
        "thickness_angstrom": thickness,
        "middle_voxels": middle,
        "n_targets": len(layout) if layout is not None else typical if n_targets is None else n_targets,
        "distractors": distractors,
        "touching_fraction": 0.25 if hard else 0.1,
        "crowd_fraction": 0.06 if easy else 0.18 if hard else 0.14,
        **({"n_membranes": 0, "n_lumps": 0} if easy else _surroundings(hard, area, rng)),
    }
    imaging = _imaging(preset, rng) | ({} if easy else _processing(shape[0], voxel_size_angstrom, thickness))
    with one_line_errors("scene"):
        scene_settings = SceneSettings(**(scene | overrides["scene"]))
    with one_line_errors("imaging"):
        imaging_settings = ImagingSettings(voxel_size_angstrom=voxel_size_angstrom, **(imaging | overrides["imaging"]))
    return SimulationSettings(preset, seed, scene_settings, imaging_settings)


def _surroundings(hard: bool, area_square_angstrom: float, rng: np.random.Generator) -> dict[str, Any]:
    """Draw settings for everything besides molecules; the number of small objects scales with the field of view."""
    n_fields = max(area_square_angstrom / _FIELD_SQUARE_ANGSTROM, 0.25)
    return {
        "n_membranes": int(rng.integers(1, 4)),
        "paired_membranes": 0.5,
        "n_lumps": round(n_fields * rng.integers(1, 4)),
        "n_vesicles": round(n_fields * rng.integers(0, 3)),
        "n_microtubules": int(rng.integers(0, 3)),
        "n_actin_filaments": int(rng.integers(0, 4)),
        "clustered_fraction": 0.3 if hard else 0.15,
        "lamella_tilt_degrees": float(rng.normal(0.0, 5.0 if hard else 2.0)),
        "lamella_pitch_degrees": float(rng.normal(0.0, 3.0 if hard else 1.0)),
        "coating_density": 2.0,
        "curtaining_angstrom": min(60.0 if hard else 25.0, area_square_angstrom**0.5 / 50.0),
        "n_gold_beads": round(n_fields * rng.integers(0, 3)) if hard else 0,
        "n_ice_lumps": round(n_fields * rng.integers(1, 3)) if hard else 0,
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
        "detective_quantum_efficiency": 0.4,  # The plate itself scatters electrons.
        "dose_per_square_angstrom": 300.0 if preset == "easy" else 100.0,
        "radiation_damage": preset != "easy",
    }


def _processing(depth_voxels: int, voxel_size_angstrom: float, thickness_angstrom: float) -> dict[str, Any]:
    """Return settings of imaging and reconstruction, calibrated against TS_034 of EMPIAR-10988.

    benchmarks/calibration.py compares the two.
    """
    flat_from = min(voxel_size_angstrom / _FLAT_BELOW_ANGSTROM, 0.5)
    return {
        "amplitude_contrast": 0.1,
        "b_factor_square_angstrom": 1500.0,
        "alignment_error_voxels": 0.5 * 13.48 / voxel_size_angstrom,
        "path_attenuation": thickness_angstrom / _MEAN_FREE_PATH_ANGSTROM,
        "binning_fall_off": 0.86,
        "tilt_weighting": 1.8,
        "ramp_fall_off": 0.99,
        # n iterations of SIRT flatten the ramp above n / angle cycles across the depth.
        "sirt_like_iterations": max(1, round(flat_from * depth_voxels * np.deg2rad(100.0))),
    }
