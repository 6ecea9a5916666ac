"""Rendering: from planned jobs to the text of job files and the snapshot of the trial code."""
