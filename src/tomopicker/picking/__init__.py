"""Scores to picks, and picks to figures of merit: no torch, no files.

`peaks` finds particles in a score volume (section 3.4), `evaluate` judges them against the truth (section 4.2).
"""
