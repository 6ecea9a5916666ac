"""Join the compiled trials with what became of them: one row for each, whatever happened to it."""
