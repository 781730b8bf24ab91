"""The referral engine: closes referral loops over HL7 v2 on one Linux box."""

__version__ = "0.1.0"
