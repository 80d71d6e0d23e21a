"""The voxel classifiers (section 3.3)."""
