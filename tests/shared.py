"""Files of other programs next to a developer's checkout; they are not part of the repository."""

from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared" / "formats"
