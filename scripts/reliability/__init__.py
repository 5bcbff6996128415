"""Faults for the service, and proof of what they do to its jobs. Python's standard library only."""
