"""Tomograms: one reader a format, named in `tomopicker.io.registry`; lazily read arrays."""
