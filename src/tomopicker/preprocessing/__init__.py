"""From a tomogram to the working volume: resampling, standardising, the lamella, decoys."""
