"""The folder that ``tomopicker pick`` writes: picks, what was asked for, and what is finished in it."""
