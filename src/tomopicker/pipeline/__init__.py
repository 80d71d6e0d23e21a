"""What happens in order: training with its rounds, picking, instant picks."""
