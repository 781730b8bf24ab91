"""How our own processes tell each other where a message ends: its length goes before it."""

from __future__ import annotations

import struct
from typing import Final

LENGTH: Final = struct.Struct(">I")
MESSAGE_BYTES_MAX: Final = 0xFFFF_FFFF  # what a length can say; the door's high-water mark is far below it
