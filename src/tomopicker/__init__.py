"""TomoPicker: every copy of one particle in cryo-electron tomograms, from a handful of clicks."""

__version__ = "0.1.0"
