"""Tomograms: one reader a format, named in `tomopicker.io.registry`; arrays that read what they are asked for."""
