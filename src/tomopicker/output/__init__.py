"""The results folder, its record, figures and the HTML report."""
