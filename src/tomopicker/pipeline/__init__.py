"""What happens in order: training, picking, instant picks."""
