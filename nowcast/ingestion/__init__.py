"""From a source of radar frames to an archive, in parallel; knows no format."""
