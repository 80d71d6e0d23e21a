"""Pickers measured alike: a protocol, methods, runs that can be resumed, and the figures of merit of DESIGN section 7.

Nothing here draws or lays out: `tomopicker.report` turns what `tables` gives into pages and pictures.
"""
