"""The one path: every message, tick, outcome and command passes step."""
