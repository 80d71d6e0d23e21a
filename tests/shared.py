"""Files of other programs that lie beside a developer's checkout; a user has only the repository."""

from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared" / "formats"
