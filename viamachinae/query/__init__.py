"""Sources of stars: files, and the interface that all sources share."""
