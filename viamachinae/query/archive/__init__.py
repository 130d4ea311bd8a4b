"""Stars from an archive's TAP service, asked for by HEALPix pixel and kept in a lake."""

from viamachinae.query.archive.source import ArchiveSource

__all__ = ["ArchiveSource"]
