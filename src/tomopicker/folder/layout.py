"""What the files of a folder of picks are called that are not a tomogram's."""

RECORD = "picks.json"
MERGED, IMPORT_LIST = "picks", "relion5_import"
"""The files of all tomograms together, without a suffix."""
