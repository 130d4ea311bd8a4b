"""The stages in order, for one patch and for a scan; alone in joining stages to the store."""
