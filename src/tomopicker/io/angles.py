"""Orientations: conversion between each program's Euler angles and RELION's, which travel with picks.

Picks carry them in the columns ``rlnAngleRot``, ``rlnAngleTilt`` and ``rlnAnglePsi`` of `Picks.extra`, in degrees. All
conversions go through the rotation that takes the reference to the particle in the tomogram, a
`scipy.spatial.transform.Rotation` of n elements.

- RELION, (rot, tilt, psi): its matrix A (Euler_angles2matrix, src/euler.cpp) is the inverse of the intrinsic rotations
  about z, y and z, and maps the reference onto the particle (ParticleSet::getMatrix4x4: "from particle space to
  tomogram space").
- Dynamo, (tdrot, tilt, narot): its matrix (dynamo_euler2matrix) is Rz(narot) · Rx(tilt) · Rz(tdrot) and takes the
  particle to the reference, so it is inverted; dynamo2m's conversion to Warp does the same.
- TOM, AV3, STOPGAP and PyTom, (phi, theta, psi): the reference is rotated about z by phi, about x by theta and about z
  by psi, all in the fixed frame (tom_rotate; PyTom calls the three Z1, X and Z2).
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.spatial.transform import Rotation

from tomopicker.errors import TomoPickerError
from tomopicker.picks import Picks
from tomopicker.types import Positions

ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
SUBTOMOGRAM_ANGLES = ("rlnTomoSubtomogramRot", "rlnTomoSubtomogramTilt", "rlnTomoSubtomogramPsi")
CLASS = "rlnClassNumber"
"""Column of picks for class numbers."""


@dataclass(frozen=True)
class Convention:
    """A program's Euler angles: n rows of three, in degrees.

    Parameters
    ----------
    axes : {"ZYZ", "zxz"}
        Intrinsic (upper case) or extrinsic, in the order of the angles.
    is_inverse : bool
        True if the angles take the particle to the reference.
    """

    axes: Literal["ZYZ", "zxz"]
    is_inverse: bool

    def rotations(self, angles: Positions) -> Rotation:
        """Return the rotations, reference to particle, of angles."""
        rotations = Rotation.from_euler(self.axes, angles, degrees=True)
        return rotations.inv() if self.is_inverse else rotations

    def angles(self, rotations: Rotation) -> Positions:
        """Return the angles of rotations."""
        with warnings.catch_warnings():
            # At tilt 0 only the sum of the other two is defined; scipy warns and assigns it to one of them.
            warnings.simplefilter("ignore", UserWarning)
            angles = (rotations.inv() if self.is_inverse else rotations).as_euler(self.axes, degrees=True)
        return np.asarray(angles, dtype=np.float64).reshape(-1, 3) + 0.0


RELION, DYNAMO, TOM = Convention("ZYZ", True), Convention("zxz", True), Convention("zxz", False)
"""The angles are (rot, tilt, psi), (tdrot, tilt, narot), and (phi, theta, psi) in this order."""


def relion_columns(rotations: Rotation) -> dict[str, np.ndarray]:
    """Return rotations as the three RELION columns that travel with picks."""
    return dict(zip(ANGLES, RELION.angles(rotations).T, strict=True))


def columns_if_any(angles: Positions, convention: Convention) -> dict[str, np.ndarray]:
    """Convert finite angles to RELION's columns; return none if all are 0, which means that none is known."""
    return relion_columns(convention.rotations(angles)) if angles.any() else {}


def orientations(extra: pd.DataFrame) -> Rotation | None:
    """Return the rotations that picks carry; None if they carry none, or an angle is not a number.

    With RELION's subtomogram angles, the rotation is A_subtomogram · A_particle (ParticleSet::getMatrix3x3).
    """
    particle, subtomogram = _triple(extra, ANGLES), _triple(extra, SUBTOMOGRAM_ANGLES)
    if particle is None:
        return None if subtomogram is None else RELION.rotations(subtomogram)
    rotations = RELION.rotations(particle)
    return rotations if subtomogram is None else RELION.rotations(subtomogram) * rotations


def angles_or_zeros(picks: Picks, convention: Convention) -> Positions:
    """Return the angles of picks in a program's convention; zeros if they carry none."""
    rotations = orientations(picks.extra)
    return np.zeros((len(picks), 3)) if rotations is None else convention.angles(rotations)


def compose_subtomogram_angles(extra: pd.DataFrame, source: str) -> pd.DataFrame:
    """Replace RELION's subtomogram angles and the particle's by one triple, the composed rotation.

    RELION 3 and Warp ignore ``rlnTomoSubtomogram{Rot,Tilt,Psi}``: particles picked on a membrane would lose their
    orientation.

    Raises `TomoPickerError` if an angle is not a number; the message names `source`, the file to be written.
    """
    if not set(SUBTOMOGRAM_ANGLES) <= set(extra.columns) or not len(extra):
        return extra
    present = [triple for triple in (SUBTOMOGRAM_ANGLES, ANGLES) if set(triple) <= set(extra.columns)]
    rotations = orientations(extra)
    if rotations is None or any(_triple(extra, triple) is None for triple in present):
        names = ", ".join(name for name in (*SUBTOMOGRAM_ANGLES, *ANGLES) if name in extra)
        raise TomoPickerError(f"{source}: {names} cannot be composed, one is no number; correct the picks")
    return extra.drop(columns=list(SUBTOMOGRAM_ANGLES)).assign(**relion_columns(rotations))


def _triple(extra: pd.DataFrame, columns: Sequence[str]) -> Positions | None:
    if not len(extra) or not set(columns) <= set(extra.columns):
        return None
    angles = np.stack([pd.to_numeric(extra[name], errors="coerce").to_numpy(np.float64) for name in columns], axis=1)
    return angles if np.isfinite(angles).all() else None
