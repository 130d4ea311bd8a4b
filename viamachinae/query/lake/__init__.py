"""A star lake: a HATS catalogue on disk that holds each pixel of the sky once."""

from viamachinae.query.lake.folder import Lake

__all__ = ["Lake"]
