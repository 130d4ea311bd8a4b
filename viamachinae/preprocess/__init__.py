"""From catalogue columns to the stars of a patch in its own frame, with named cuts."""
