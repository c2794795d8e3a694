"""Radar formats: one file each, none of which knows the archive."""
