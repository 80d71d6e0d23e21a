"""Tomograms: one reader a format, named in `tomopicker.formats.registry`; arrays that read what they are asked for."""
