"""Picks against truth: matching and figures of merit."""
