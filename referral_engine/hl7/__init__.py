"""The wire format: bytes to message and back; never learns what a referral is."""
