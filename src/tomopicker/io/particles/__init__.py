"""Picks: one reader and one writer per format, named in `tomopicker.io.registry`."""
