"""Passes on a schedule, one after another, for as long as the process lives."""
