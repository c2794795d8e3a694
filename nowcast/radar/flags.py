"""Flags of a pixel: 0 unseen (outside coverage, no data), 1 usable, 2 doubtful (noise filter, clutter).

`valid` everywhere else is bool, True = use this pixel.
"""

from __future__ import annotations

UNSEEN, USABLE, DOUBTFUL = 0, 1, 2
FLAG_MEANINGS = "unseen usable doubtful"
