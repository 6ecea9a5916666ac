"""The thin layer that prints what the commands return; what it makes of a value is for people, or is data."""
