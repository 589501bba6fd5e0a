"""Measurements, each made by one command: ``make bench``."""
