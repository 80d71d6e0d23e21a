"""Numbers in sentences."""


def number_of(count: int, noun: str) -> str:
    """Write a number of things: ``1 tomogram``, ``3 tomograms``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
