"""Benchmark of pickers: a protocol, methods, resumable runs, and their metrics as data frames.

Pages and pictures are made by `tomopicker.report`.
"""
