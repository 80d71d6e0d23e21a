"""Synthetic tomograms with truth, by physics: molecules in a lamella, a tilt series, weighted back-projection."""

from tomopicker.simulate.imaging import ImagingSettings, image_tomogram
from tomopicker.simulate.molecules import (
    Molecule,
    builtin_library,
    builtin_molecule,
    builtin_names,
    load_library,
    load_molecule,
)
from tomopicker.simulate.presets import SimulationSettings
from tomopicker.simulate.scene import Scene, SceneSettings, build_scene
from tomopicker.simulate.tomogram import SimulatedTomogram, simulate_tomogram

__all__ = [
    "ImagingSettings",
    "Molecule",
    "Scene",
    "SceneSettings",
    "SimulatedTomogram",
    "SimulationSettings",
    "build_scene",
    "builtin_library",
    "builtin_molecule",
    "builtin_names",
    "image_tomogram",
    "load_library",
    "load_molecule",
    "simulate_tomogram",
]
