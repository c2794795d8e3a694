"""The radar archive: a folder of CF netCDF files, one per UTC day; readers fill it, everything else reads it."""

from nowcast.archive.archive import Archive, Frames

__all__ = ["Archive", "Frames"]
