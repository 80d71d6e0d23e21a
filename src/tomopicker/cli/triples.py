"""Flags that take three numbers, X,Y,Z."""

from math import isfinite

from tomopicker.errors import UsageError


def triple(text: str, flag: str) -> tuple[float, float, float]:
    """Read three numbers.

    Raises
    ------
    UsageError
        If they are not, or not finite.
    """
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"{flag} {text}: give three numbers, X,Y,Z, such as 0.5,0.5,0") from error
    if not (isfinite(x) and isfinite(y) and isfinite(z)):
        raise UsageError(f"{flag} {text}: give three finite numbers, X,Y,Z")
    return x, y, z


def shape_xyz(text: str) -> tuple[int, int, int]:
    """Read a tomogram's size in voxels, x first.

    Raises
    ------
    UsageError
        If it is not three whole numbers from 1.
    """
    try:
        x, y, z = (int(part) for part in text.replace("x", ",").split(","))
    except ValueError as error:
        raise UsageError(f"--shape {text}: give three whole numbers of voxels, X,Y,Z, such as 960,928,500") from error
    if min(x, y, z) < 1:
        raise UsageError(f"--shape {text}: a size must be at least 1 voxel; give X,Y,Z such as 960,928,500")
    return x, y, z
