"""Tomograms and picks in napari, through its npe2 manifest; nothing here needs napari itself, or Qt."""
