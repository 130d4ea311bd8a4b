"""The run folder: paths, atomic writes, done-records and provenance."""
