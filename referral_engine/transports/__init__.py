"""Couriers: what is owed leaves the building, one lane a channel."""
