"""From clicks to a network: labels, samplers, augmentation, the loop, checkpoints."""
