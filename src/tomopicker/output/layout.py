"""Names of the files in a folder of picks that are not a tomogram's."""

RECORD = "picks.json"
RECORDS = "records"
"""A folder: the record of each tomogram, written by the process that picked it."""
MERGED, IMPORT_LIST, OPTIMISATION_SET = "picks", "relion5_import", "optimisation_set"
"""The files of all tomograms together, without a suffix."""
RUN, RUNNING, LOG = "run.json", ".running", "pick.log"
"""The state of the last run, the lock file of a running one, and the log with a line for each tomogram."""
