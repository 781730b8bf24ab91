"""An effect of the loop becomes the exact bytes to send."""
