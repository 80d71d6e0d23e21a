"""Pretraining of a network on random molecules in random tomograms."""
