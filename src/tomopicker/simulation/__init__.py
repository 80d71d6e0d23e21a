"""Synthetic tomograms with truth, by physics: molecules in a lamella, a tilt series, reconstruction."""

from tomopicker.simulation.imaging import image_tomogram
from tomopicker.simulation.molecules import (
    Molecule,
    builtin_library,
    builtin_molecule,
    builtin_names,
    load_library,
    load_molecule,
)
from tomopicker.simulation.scene import Scene, build_scene
from tomopicker.simulation.settings import ImagingSettings, SceneSettings, SimulationSettings
from tomopicker.simulation.tomogram import SimulatedTomogram, simulate_tomogram

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
