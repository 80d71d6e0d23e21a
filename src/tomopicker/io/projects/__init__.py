"""Project files of other programs: tomograms, their sizes, and where picks belong."""
