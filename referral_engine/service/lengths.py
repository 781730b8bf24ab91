"""How our own processes tell each other where a message ends: its length goes before it."""

from __future__ import annotations

import struct
from typing import Final

LENGTH: Final = struct.Struct(">I")
