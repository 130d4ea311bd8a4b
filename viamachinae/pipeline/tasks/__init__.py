"""The work of each stage of a patch; each is loaded only where it is done."""
