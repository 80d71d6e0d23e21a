"""Self-training of the discriminant: pseudo-labels, of particles and of background, from a few clicks.

Half of the features of a single click is noise. With the inner product <a, b> = aᵀ (Σ + λ·tr(Σ)/C·1)⁻¹ b, Σ the
covariance of background, a peak f is similar to the clicks if the cosine between f - μ and the discriminant is near 1,
regardless of its contrast. The mean of similar peaks is more precise than that of the clicks and has further similar
peaks; a few rounds with rising thresholds converge on the particles (self-training; Yarowsky 1995). The best peaks that
are not similar are look-alikes: examples of background for the refit.

On simulated ribosomes and fatty-acid synthases, cosines of particles with the mean of many were 0.55 to 0.85 (10th to
90th percentile), those of other peaks below 0.5; with a single click they are lower, due to the click's own noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.spatial import cKDTree

from tomopicker.fewshot.discriminant import Discriminant, RejectedAt, Statistics, discriminant
from tomopicker.fewshot.feature_map import FeatureMap, FeaturesAt
from tomopicker.picking.local_maxima import local_peaks
from tomopicker.types import Positions

ROUNDS = (0.3, 0.4, 0.5)
"""Minimum cosine of a similar peak in each round."""
PARTICLE_COSINE, BACKGROUND_COSINE = 0.55, 0.5
"""Minimum cosine of an example of a particle, and maximum cosine of an example of background."""
ROWS_PER_PARTICLE, ANGSTROM3_PER_PARTICLE, MIN_PARTICLES = 3000, 4.7e8, 50
"""Limits of the number of added examples in a tomogram: feature voxels and volume per example, and a minimum number.
In a crowded tomogram of 480×480×300 voxels (760 particles) 100 examples were too few: the most similar peaks share
their displacement from the centre. In one of 320×320×112 voxels 400 were too many and included look-alikes. Both limits
agree for ribosomes at 13.48 Å. The limit by volume is for smaller particles, which have more feature voxels but are not
more abundant; it allows for half of the ribosomes in a crowded cytosol.
"""
ROWS_PER_PEAK, MIN_PEAKS = 450, 400
"""Number of best peaks examined: feature voxels per peak, and a minimum number."""
SMOOTHING, MIN_DISTANCE = 0.8, 1.4
"""Smoothing of scores, in feature voxels; minimum distance of two peaks, in particle radii."""

PeaksAt = Float64[np.ndarray, "peaks channels"]
Cosines = Float64[np.ndarray, " peaks"]


@dataclass(frozen=True, eq=False)
class ClickedTomogram:
    """A tomogram with clicks.

    Parameters
    ----------
    features : FeatureMap
    statistics : Statistics
        Statistics of its specimen.
    radius : float
        Particle radius, in voxels.
    known : Positions
        Clicks and negatives, (x, y, z) in voxels.
    voxel_size : float
        Å.
    """

    features: FeatureMap
    statistics: Statistics
    radius: float
    known: Positions
    voxel_size: float

    @property
    def max_examples(self) -> int:
        """Maximum number of examples of particles to add."""
        rows = len(self.features.rows)
        volume = rows * (self.features.stride * self.voxel_size) ** 3
        return max(MIN_PARTICLES, int(min(rows / ROWS_PER_PARTICLE, volume / ANGSTROM3_PER_PARTICLE)))


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Features of particles and of background, one row each; those of clicks and negatives come first."""

    particles: FeaturesAt
    background: RejectedAt


def self_train(tomograms: Sequence[ClickedTomogram], clicks: FeaturesAt, rejected: RejectedAt) -> TrainingSet:
    """Add peaks similar to the clicks to the clicks, and the best of the other peaks to the negatives.

    Parameters
    ----------
    tomograms : sequence of ClickedTomogram
        Tomograms to search.
    clicks, rejected : array, shape (n, channels) and (m, channels)
        Features at all clicks and negatives.
    """
    particles = clicks
    for least in (*ROUNDS, PARTICLE_COSINE):
        found = [_peaks(each, particles, rejected) for each in tomograms]
        similar = [_similar(each, *peaks, least) for each, peaks in zip(tomograms, found, strict=True)]
        particles = np.concatenate([clicks, *similar])
    unlike = [peaks[cosines < BACKGROUND_COSINE] for peaks, cosines in found]
    return TrainingSet(particles, np.concatenate([rejected, *unlike]))


def similarity(solution: Discriminant, statistics: Statistics, features: FeaturesAt) -> Float64[np.ndarray, " n"]:
    """Return the cosine between features and a discriminant, after centring and whitening by the background.

    Parameters
    ----------
    solution : Discriminant
    statistics : Statistics
        Of the tomogram.
    features : array, shape (n, channels)
    """
    away = features - statistics.mean
    lengths = np.sqrt(np.einsum("ij,ij->i", away @ statistics.inverse, away))
    lengths *= np.sqrt(solution.weights @ statistics.shrunk @ solution.weights)
    return np.asarray(away @ solution.weights / np.maximum(lengths, 1e-12))


def _peaks(tomogram: ClickedTomogram, particles: FeaturesAt, rejected: RejectedAt) -> tuple[PeaksAt, Cosines]:
    """Return the features of the best peaks that are neither clicked nor rejected, and their cosines.

    Cosines refer to the closed form, since a refit to negatives deviates from the particles' mean.
    """
    features, radius = tomogram.features, tomogram.radius
    solution = discriminant(tomogram.statistics, particles, rejected)
    mean = discriminant(tomogram.statistics, particles, rejected[:0])
    scores = features.row_scores(solution.weights, solution.bias).numpy()
    grid = np.full(features.where.shape, scores.min(initial=0.0), dtype=np.float32)
    grid[features.where] = scores
    found = local_peaks(
        grid, min_distance=MIN_DISTANCE * radius / features.stride, threshold=float("-inf"), smoothing=SMOOTHING,
        max_particles=max(MIN_PEAKS, len(scores) // ROWS_PER_PEAK), mask=features.where,
    )  # fmt: skip
    positions = features.in_voxels(found.positions_voxels)
    if len(tomogram.known) and len(positions):
        positions = positions[cKDTree(tomogram.known).query(positions)[0] > radius]
    at = features.at(positions)
    return at, similarity(mean, tomogram.statistics, at)


def _similar(
    tomogram: ClickedTomogram, peaks: PeaksAt, cosines: Cosines, least: float
) -> Float64[np.ndarray, "similar channels"]:
    """Return the most similar peaks above a minimum cosine, limited by the size of the tomogram."""
    order = np.argsort(-cosines, kind="stable")[: tomogram.max_examples]
    return peaks[order[cosines[order] >= least]]
