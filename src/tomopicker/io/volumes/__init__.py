"""Tomograms: one reader per format, named in `tomopicker.io.registry`; lazily read arrays."""
