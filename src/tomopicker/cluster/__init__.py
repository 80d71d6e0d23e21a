"""Many tomograms on one machine or many: one function maps a job over them, whatever runs it."""
