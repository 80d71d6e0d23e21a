"""What the files of a folder of picks are called that are not a tomogram's."""

RECORD = "picks.json"
RECORDS = "records"
"""A folder: the record of each tomogram, written by whoever picked it."""
MERGED, IMPORT_LIST, OPTIMISATION_SET = "picks", "relion5_import", "optimisation_set"
"""The files of all tomograms together, without a suffix."""
RUN, RUNNING, LOG = "run.json", ".running", "pick.log"
"""How the last run stands, the mark of a run that goes on, and a line for each tomogram."""
