"""The thin layer that prints what the commands return.

What it makes of a value is for people, or is data.
"""
