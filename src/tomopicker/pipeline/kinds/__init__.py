"""Several kinds of particle at once: each kind's clicks are known negatives of the others, and one pick is of one kind.

With clicks of one kind, or of none stated, all that is here does what the modules of one kind do.
"""
