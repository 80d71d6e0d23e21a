"""The two jobs, whole: from clicks to a model, and from a model to picks."""
