"""From a score volume to picks: peaks, calibration, selection; no torch, no files (section 3.4)."""
