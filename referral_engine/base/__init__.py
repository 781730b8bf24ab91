"""The ground: errors, identifiers, the clock protocol and Phi; it knows nothing of the floors above."""
