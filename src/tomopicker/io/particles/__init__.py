"""Picks: one reader and one writer a format, named in `tomopicker.io.registry`."""
