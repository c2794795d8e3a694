"""The stage of an animation: title, panels, timeline and legend are set up once, scenes are played on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nowcast.visualization import colors
from nowcast.visualization.canvas import FIRST_CLASS, UNSEEN_LINE, Canvas, ink, text_width
from nowcast.visualization.legend import draw_legend, legend_height
from nowcast.visualization.panel import Panel
from nowcast.visualization.scenes import Picture, Scene, clock, minutes

MARGIN, GAP = 24, 16
TITLE_HEIGHT, HEADER_HEIGHT, TIMELINE_HEIGHT = 62, 30, 62
NARROWEST = 470
"""Least width of the content: title and times stand side by side."""
TICK_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)
"""Spacings of the timeline's labels, minutes."""


class Stage:
    """Draws scenes; everything that stays the same is drawn here, once."""

    def __init__(
        self,
        story: Sequence[Scene],
        panel: Panel,
        issue_time: np.datetime64,
        names: dict[str, str],
        unknown: bool,
        unseen: bool,
        remark: str = "",
    ) -> None:
        self.panel, self.names = panel, names
        self.cell = max(panel.width, *(text_width(name, 15, bold=True) + 8 for name in names.values()))
        panels = len(names) * self.cell + (len(names) - 1) * GAP
        content = max(NARROWEST, panels)
        self.left, self.right = MARGIN, MARGIN + content
        self.top = MARGIN + TITLE_HEIGHT + HEADER_HEIGHT
        self.timeline_top = self.top + panel.height + 22
        legend_top = self.timeline_top + TIMELINE_HEIGHT - 12
        height = legend_top + legend_height(content) + MARGIN - 8
        # Video encoders take even sizes only.
        self.width, self.height = content + 2 * MARGIN, height + height % 2
        self.width += self.width % 2
        indent = self.left + (content - panels) // 2
        self.panel_left = {name: indent + i * (self.cell + GAP) for i, name in enumerate(names)}
        self.issue_time, self.start, self.stop = issue_time, min(issue_time, story[0].time), story[-1].time
        self.scenery = Canvas(self.width, self.height)
        self._title(remark)
        for name in names:
            self._panel_frame(name)
        self._timeline()
        draw_legend(self.scenery, self.left, legend_top, content, unseen, unknown)

    def draw(self, scene: Scene) -> Canvas:
        """The frame of the animation that shows a scene."""
        canvas = self.scenery.copy()
        for name, picture in scene.pictures.items():
            self._play(canvas, name, picture, scene.past)
        self._scale_bar(canvas)
        lead = minutes(scene.lead)
        if scene.past:
            now = "observed now" if lead == 0 else f"observed −{-lead} min"
            canvas.text(self.right, MARGIN + 22, now, 22, colors.MUTED, bold=True, anchor="rs")
        else:
            canvas.text(self.right, MARGIN + 22, f"+{lead} min", 24, colors.ACCENT, bold=True, anchor="rs")
        valid = f"valid {str(scene.time.astype('datetime64[D]'))} {clock(scene.time)}"
        canvas.text(self.right, MARGIN + 44, valid, 14, colors.INK, anchor="rs")
        self._progress(canvas, scene)
        return canvas

    def _title(self, remark: str) -> None:
        issued = f"issued {str(self.issue_time.astype('datetime64[D]'))} {clock(self.issue_time)}"
        self.scenery.text(self.left, MARGIN + 22, "Rain nowcast", 22, bold=True)
        self.scenery.text(self.left, MARGIN + 44, issued, 14, colors.MUTED)
        # Beside the title where there is room next to the lead time, else under the times.
        start = self.left + text_width("Rain nowcast", 22, bold=True) + 14
        if remark and start + text_width(remark, 13) < self.right - text_width("observed −60 min", 22, bold=True) - 8:
            self.scenery.text(start, MARGIN + 22, remark, 13, colors.ACCENT, bold=True)
        elif remark:
            self.scenery.text(self.left, MARGIN + 60, remark, 12, colors.ACCENT, bold=True)

    def _panel_frame(self, name: str) -> None:
        left = self.panel_left[name]
        self.scenery.text(left, self.top - 10, self.names[name], 15, bold=True)
        self.scenery.frame(left, self.top, self.panel.width, self.panel.height, UNSEEN_LINE)

    def _play(self, canvas: Canvas, name: str, picture: Picture, past: bool) -> None:
        left, panel = self.panel_left[name], self.panel
        window = canvas.pixels[self.top : self.top + panel.height, left : left + panel.width]
        if picture.rain_rate is not None:
            window[:] = panel.paint(picture.rain_rate, picture.seen)
        else:
            window[:] = panel.blank(picture.seen)
            lines = [picture.message]
            if text_width(picture.message, 14) > panel.width - 8:
                lines = picture.message.split()
            for row, line in enumerate(lines):
                y = self.top + panel.height // 2 + 20 * row - 10 * (len(lines) - 1)
                canvas.text(left + panel.width // 2, y, line, 14, colors.MUTED, anchor="mm")
        highlight = name == "nowcast" and not past
        if highlight:
            canvas.frame(left, self.top, panel.width, panel.height, ink(colors.ACCENT), thickness=2)
        room = self.cell - text_width(self.names[name], 15, bold=True) - 12
        if text_width(picture.status, 13) <= room:
            color = colors.ACCENT if highlight else colors.MUTED
            canvas.text(left + self.cell, self.top - 10, picture.status, 13, color, anchor="rs")

    def _scale_bar(self, canvas: Canvas) -> None:
        panel = self.panel
        if panel.distance is None:
            return
        text = f"{panel.distance:g} km"
        width = max(panel.distance_pixels, text_width(text, 12)) + 16
        left = next(iter(self.panel_left.values())) + 8
        top = self.top + panel.height - 8 - 30
        canvas.fill(left, top, width, 30, 0)
        canvas.text(left + width // 2, top + 15, text, 12, anchor="ms")
        bar = left + (width - panel.distance_pixels) // 2
        canvas.fill(bar, top + 22, panel.distance_pixels, 2, ink(colors.INK))
        for end in (bar, bar + panel.distance_pixels - 2):
            canvas.fill(end, top + 19, 2, 5, ink(colors.INK))

    def _x(self, time: np.datetime64) -> int:
        share = (time - self.start) / (self.stop - self.start)
        return self.left + 8 + round(share * (self.right - self.left - 16))

    def _timeline(self) -> None:
        track, length = self.timeline_top, self._x(self.stop) - self._x(self.start)
        self.scenery.fill(self.left + 8, track, self.right - self.left - 16, 4, FIRST_CLASS + colors.UNSEEN_CLASS)
        first, last = (minutes(time - self.issue_time) for time in (self.start, self.stop))
        step = next((s for s in TICK_STEPS if length * s >= 100 * (last - first)), 2880)
        labels = range(-(-first // step) * step, last + 1, step)
        with_unit = labels[-1] or labels[0]
        for lead in labels:
            x = self._x(self.issue_time + np.timedelta64(lead * 60, "s"))
            text = "issued" if lead == 0 else f"+{lead}" if lead > 0 else f"−{-lead}"
            text += " min" * (lead == with_unit != 0)
            half = text_width(text, 12) // 2
            x_text = min(max(x, self.left + half), self.right - half)
            self.scenery.fill(x, track + 6, 1, 5, ink(colors.MUTED))
            self.scenery.text(x_text, track + 25, text, 12, colors.MUTED, anchor="ms")

    def _progress(self, canvas: Canvas, scene: Scene) -> None:
        start, now, track = self._x(self.start), self._x(scene.time), self.timeline_top
        issued = min(self._x(self.issue_time), now)
        canvas.fill(start, track, issued - start, 4, ink(colors.MUTED))
        canvas.fill(issued, track, now - issued, 4, ink(colors.ACCENT))
        canvas.disc(now, track + 1.5, 6, colors.MUTED if scene.past else colors.ACCENT)
