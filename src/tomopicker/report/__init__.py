"""Figures, tables and pages from picks and their evaluation."""
