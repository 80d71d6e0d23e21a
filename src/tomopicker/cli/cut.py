"""The options that say where a list of candidates is cut, for ``pick`` and ``threshold``."""

from typing import TYPE_CHECKING, Annotated

import typer

from tomopicker.cli.options import PICKING
from tomopicker.errors import UsageError

if TYPE_CHECKING:
    from tomopicker.picking.selection import Cut

Threshold = Annotated[
    float | None,
    typer.Option(
        metavar="P",
        help="Least probability of a pick.  [dim]\\[default: each tomogram's best expected F1][/dim]",
        rich_help_panel=PICKING,
    ),
]
TargetPrecision = Annotated[
    float | None,
    typer.Option(
        metavar="P",
        help="As many picks as keep the expected share of right ones at P or above.",
        show_default=False,
        rich_help_panel=PICKING,
    ),
]
TargetFdr = Annotated[
    float | None,
    typer.Option(
        metavar="Q",
        help="The same, by the share of wrong ones: a false discovery rate of at most Q.",
        show_default=False,
        rich_help_panel=PICKING,
    ),
]
MaxParticles = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Keep only the N best of each tomogram.  [dim]\\[default: all][/dim]",
        rich_help_panel=PICKING,
    ),
]


def the_cut(
    threshold: float | None, target_precision: float | None, target_fdr: float | None, max_particles: int | None
) -> "Cut":
    """Make one of four options.

    Raises
    ------
    UsageError
        If one is out of range, or two of the first three are given.
    """
    from tomopicker.picking.selection import Cut

    shares = {"--threshold": threshold, "--target-precision": target_precision, "--target-fdr": target_fdr}
    given = {name: value for name, value in shares.items() if value is not None}
    for name, value in given.items():
        if not 0 <= value <= 1:
            raise UsageError(f"{name} {value:g} cannot be; give a probability between 0 and 1")
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} say the same thing twice; give one of them")
    if max_particles is not None and max_particles < 1:
        raise UsageError(f"--max-particles {max_particles} cannot be; give 1 or more, or leave it out")
    precision = target_precision if target_fdr is None else 1 - target_fdr
    return Cut(threshold, precision, max_particles)
