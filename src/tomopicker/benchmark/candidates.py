"""What a method finds: candidates with scores in every tomogram, and the threshold it would cut at by itself.

Candidates below the threshold are kept, for precision-recall curves; what counts are those above it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from tomopicker.benchmark.expected import Expected
from tomopicker.benchmark.floor import difference_of_gaussians, match_ball
from tomopicker.benchmark.methods import Method
from tomopicker.benchmark.protocol import Optics, Protocol
from tomopicker.benchmark.template import match_template
from tomopicker.config import resolve
from tomopicker.data.preprocess import preprocess, working_voxel_size
from tomopicker.picking.crossfit import Ranking, estimate_count
from tomopicker.picking.peaks import Peaks, click_scores
from tomopicker.picking.selection import threshold_for_count
from tomopicker.picks import Picks
from tomopicker.tomogram import Tomogram
from tomopicker.types import Volume
from tomopicker.workflow.score import find_peaks

Scorer = Callable[[Volume, float, float], Volume]
"""Makes scores of a working volume, the particle's radius in its voxels, and their size in Å."""

MOST = 20_000
"""Candidates of a tomogram at most: several times what a cell holds, and the same for all methods."""


@dataclass(frozen=True)
class Found:
    """What a method found.

    Parameters
    ----------
    picks : mapping of str to Picks
        By tomogram; also below the threshold.
    thresholds : mapping of str to float
        By tomogram: only scores above it are picks; where there is none, all are.
    expected : mapping of str to Expected
        By tomogram: what the method says of its picks; empty for one that says nothing.
    """

    picks: Mapping[str, Picks]
    thresholds: Mapping[str, float]
    expected: Mapping[str, Expected] = field(default_factory=dict)

    def chosen(self, tomogram: str) -> Picks:
        """Keep the picks of a tomogram that the method stands by."""
        mine = self.picks[tomogram]
        # Without a threshold all count, also those of a program that gives no scores.
        return mine.select(mine.scores > self.thresholds[tomogram]) if tomogram in self.thresholds else mine


def scored_candidates(tomogram: Tomogram, method: Method, protocol: Protocol, optics: Optics) -> Picks:
    """Score a tomogram with a method that is not trained, at the working scale, and give its peaks.

    Parameters
    ----------
    tomogram : Tomogram
    method : Method
        ``dog``, ``ball`` or ``template``.
    protocol : Protocol
        Says the particle's diameter and map.
    optics : Optics
        For the template.

    Returns
    -------
    Picks
        Best first; in the lamella, spaced and kept off the border as the default preset does.
    """
    scorers: dict[str, Scorer] = {
        "dog": lambda volume, radius, _: difference_of_gaussians(volume, radius),
        "ball": lambda volume, radius, _: match_ball(volume, radius),
    }
    if protocol.template is not None:
        template = protocol.template
        scorers["template"] = lambda volume, radius, size: match_template(volume, size, radius, template, optics)
    return _candidates(tomogram, protocol.particle_diameter, scorers[method.kind])


def ball_candidates(tomogram: Tomogram, particle_diameter: float) -> Picks:
    """Give the peaks of the likeness to a dark ball as wide as the particle (Å), as `scored_candidates` does."""
    return _candidates(tomogram, particle_diameter, lambda volume, radius, _: match_ball(volume, radius))


def _candidates(tomogram: Tomogram, particle_diameter: float, scorer: Scorer) -> Picks:
    settings = resolve({"particle_diameter": particle_diameter, "picking": {"smoothing_fraction": 0.0}})
    scale = settings.preprocess.working_diameter
    voxel_size = working_voxel_size(tomogram.voxel_size, particle_diameter, scale)
    working = preprocess(tomogram, voxel_size, settings.preprocess.clip_sd, "auto")
    radius = particle_diameter / 2 / voxel_size
    scores = scorer(working.data, radius, voxel_size)
    peaks = find_peaks(scores, settings, radius, float("-inf"), max_particles=MOST, mask=working.mask)
    last = (np.array(tomogram.shape[::-1]) - 1) * tomogram.voxel_size
    positions = np.clip(working.to_angstrom(peaks.positions_voxels), 0, last)
    return Picks.of(tomogram.name, positions, peaks.scores.astype(np.float64))


def threshold_from_clicks(candidates: Picks, clicks: Picks, particle_radius: float) -> float:
    """Set the threshold of a method that has none, from the clicks in the training tomogram alone.

    As the default preset counts particles: the clicks' own scores tell which share of all particles scores above a
    value, the candidates how many places do; the threshold keeps as many candidates as there are particles then.

    Parameters
    ----------
    candidates : Picks
        Of the training tomogram.
    clicks : Picks
        In it; the method was not trained on them.
    particle_radius : float
        Å within which a candidate is the clicked particle.
    """
    # The estimate takes scores for logits, a unit apart where they differ: correlations are brought to that scale.
    scaled = (candidates.scores - np.median(candidates.scores)) / max(float(np.std(candidates.scores)), 1e-12)
    peaks = Peaks(candidates.positions, scaled.astype(np.float32))
    # One unit of length serves as well as another for positions and tolerance.
    ranking = Ranking(scaled, click_scores(peaks, clicks.positions, particle_radius))
    return threshold_for_count(candidates.scores, estimate_count([ranking], least=len(clicks)))
