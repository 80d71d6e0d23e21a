"""From a network to a score volume, tile by tile."""
