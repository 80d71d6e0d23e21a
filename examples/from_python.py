"""Train on clicks, pick in another tomogram, save and judge: python examples/from_python.py FOLDER

FOLDER holds TS_0001.mrc, TS_0002.mrc, clicks_TS_0001.csv and truth/TS_0002.csv, as examples/quick_start.sh makes them.
"""

import sys
from pathlib import Path
from typing import Any

from tomopicker import api


def main(folder: Path, particle_diameter: float = 300, **changes: Any) -> float:
    """Give F1 in the second tomogram; the changes are settings, such as ``training={"steps": 100}``."""
    tomogram = api.open_tomogram(folder / "TS_0001.mrc")  # a Tomogram; voxels are read when needed
    clicks = api.read_picks(folder / "clicks_TS_0001.csv", [tomogram])  # Picks, in Å
    for finding in api.check([tomogram], clicks, diameter=particle_diameter).findings:
        print(finding.status.value, finding.test, finding.message)

    settings = api.settings(particle_diameter, seed=1, **changes)  # frozen Settings
    model = api.train([tomogram], clicks, settings)
    api.save_model(folder / "ribosome.model", model)

    other = api.open_tomogram(folder / "TS_0002.mrc")
    found = api.pick(other, model)  # found.picks, found.candidates, found.expected, found.threshold
    api.write_picks(found.picks, {other.name: other.frame}, folder / "TS_0002.star")

    truth = api.read_picks(folder / "truth" / "TS_0002.csv", [other])
    _, mean = api.evaluate(found.picks, truth, tolerance=10 * other.voxel_size)
    print(f"{len(found.picks)} picks, about {found.count}, F1 {mean.f1:.2f}")
    return mean.f1


if __name__ == "__main__":
    main(Path(sys.argv[1]))
