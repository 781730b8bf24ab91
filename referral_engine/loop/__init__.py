"""The referral: events, tracks, clocks and what is owed; never learns what a segment is."""
