"""The report as a page that is always up to date, for browsers on this machine.

It reads what is on record and writes nothing. The standard library's server is enough for it.
"""
