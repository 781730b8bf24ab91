"""What the engine costs: load over the wire, the door alone, and ninety days in one go."""
