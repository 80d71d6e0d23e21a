"""Synthetic tomograms with truth, by physics: molecules in a lamella, a tilt series, reconstruction."""
