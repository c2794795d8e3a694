"""Convective cells: small, heavy, 20-60 minutes old (where storms endure, older); alone, in clusters and in lines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from nowcast.synthetic.flow_fields import COARSE, FlowField
from nowcast.synthetic.weather_regimes import NO_ECHO, PIXEL_KM, Regime

Field = NDArray[np.float32]


class Cells:
    """Convective cells: positions in box pixels, ages in minutes, peaks in dBZ; one row of `table` a cell.

    `east`, `south`: the cell's own motion beside the flow's, pixels per frame.
    """

    COLUMNS = ("column", "row", "age", "life", "peak", "radius", "stretch", "angle", "east", "south")

    def __init__(
        self, rng: np.random.Generator, box: int, minutes: float, regime: Regime, pixel_km: float = PIXEL_KM
    ) -> None:
        self.rng, self.box, self.minutes, self.regime = rng, box, minutes, regime
        self.table = np.zeros((0, len(self.COLUMNS)))
        self.lines: list[dict[str, float]] = []
        self.area = (box * pixel_km) ** 2 / 1e5
        self.fine = PIXEL_KM / pixel_km  # lengths below are pixels of PIXEL_KM, times this they are ours
        self.pixels = minutes * 60 / 1000 / pixel_km  # pixels per frame of 1 m/s
        self.clock = 0.0
        self.surging = (rng.uniform(3, 8), rng.uniform(0, 2 * np.pi)) if regime.surge else (1.0, 0.0)  # hours, phase

    @property
    def vigor(self) -> float:
        """Births now, relative to the regime's mean."""
        period, phase = self.surging
        return float(np.exp(self.regime.surge * np.sin(2 * np.pi * self.clock / period + phase)))

    def step(self, flow: FlowField, east: Field, south: Field, moisture: Field) -> None:
        """Ride, age, die and be born; `moisture` (box, box) favors births where it is large."""
        where = (self.table[:, 1].astype(int) % self.box, self.table[:, 0].astype(int) % self.box)
        self.table[:, 0] = (self.table[:, 0] + east[where] + self.table[:, 8]) % self.box
        self.table[:, 1] = (self.table[:, 1] + south[where] + self.table[:, 9]) % self.box
        self.table[:, 2] += self.minutes
        self.table = self.table[self.table[:, 2] < self.table[:, 3]]
        hours = self.minutes / 60
        births = self.regime.cells * self.vigor * self.area * hours
        born = [self._lone(moisture) for _ in range(self.rng.poisson(births))]
        mature = self.table[(self.table[:, 2] > 0.3 * self.table[:, 3]) & (self.table[:, 4] > 40)]
        for parent in mature[self.rng.random(len(mature)) < 1.4 * min(self.vigor, 1.0) * hours]:
            born.append(self._near(parent[0], parent[1], 11.0 * self.fine, parent[7]))
        born += self._along_lines(flow.mean, hours)
        if born:
            self.table = np.concatenate([self.table, np.array(born)])
        self.clock += hours

    def reflectivity(self, texture: Field) -> Field:
        """Largest cell reflectivity in dBZ at every pixel of the box, NO_ECHO where there is none."""
        field = np.full((self.box, self.box), NO_ECHO, np.float32)
        for column, row, age, life, peak, radius, stretch, angle in self.table[:, :8]:
            top = (peak - 8) * np.sin(np.pi * age / life) ** 0.6 + 8
            reach = int(np.ceil(1.9 * radius * stretch))
            rows = np.arange(int(row) - reach, int(row) + reach + 1)
            columns = np.arange(int(column) - reach, int(column) + reach + 1)
            down, right = (rows - row)[:, None], (columns - column)[None]
            along = (right * np.cos(angle) + down * np.sin(angle)) / (radius * stretch)
            across = (down * np.cos(angle) - right * np.sin(angle)) / radius
            patch = np.ix_(rows % self.box, columns % self.box)
            bump = top - 11 * (along**2 + across**2) + 5 * texture[patch]
            field[patch] = np.maximum(field[patch], bump)
        return field

    def anvils(self) -> Field:
        """Moisture that the cells leave per hour, on the coarse grid (box / COARSE, box / COARSE)."""
        coarse = np.zeros((self.box // COARSE,) * 2, np.float32)
        where = (self.table[:, 1].astype(int) // COARSE, self.table[:, 0].astype(int) // COARSE)
        np.add.at(coarse, where, (np.maximum(self.table[:, 4] - 36, 0) / 10).astype(np.float32))
        return gaussian_filter(coarse, 1.5 * self.fine, mode="wrap")

    def _new(self, column: float, row: float, angle: float, boost: float = 0.0) -> list[float]:
        rng = self.rng
        peak = np.clip(rng.normal(self.regime.peak + boost, 5.0), 26, 55)
        radius = (rng.uniform(2.5, 5.0) + max(peak - 38, 0) * 0.15) * self.fine
        life = rng.uniform(20, 60) * self.regime.cell_life * (1 + self.regime.endurance * max(peak - 38, 0))
        stretch = rng.uniform(1.0, 1.9)
        place, angle = [column % self.box, row % self.box], angle + rng.normal(0, 0.35)
        own = rng.normal(0, self.regime.drift * self.pixels, 2) if self.regime.drift else (0.0, 0.0)
        return [*place, 0.0, life, peak, radius, stretch, angle, *own]

    def _lone(self, moisture: Field) -> list[float]:
        candidates = self.rng.integers(0, self.box, (16, 2))
        row, column = max(candidates, key=lambda place: moisture[place[0], place[1]])
        return self._new(float(column), float(row), self.rng.uniform(0, np.pi))

    def _near(self, column: float, row: float, distance: float, angle: float) -> list[float]:
        offset = self.rng.normal(0, distance, 2)
        return self._new(column + offset[0], row + offset[1], angle)

    def _along_lines(self, mean: tuple[float, float], hours: float) -> list[list[float]]:
        """Births along squall lines, which lie across the wind and travel with it for three to six hours."""
        rng = self.rng
        first = self.clock == 0 and self.regime.lines > 0
        for _ in range(max(int(first), rng.poisson(self.regime.lines * hours / 24))):
            across = np.arctan2(mean[1], mean[0]) + np.pi / 2 + rng.normal(0, 0.35)
            line = {"column": rng.uniform(0, self.box), "row": rng.uniform(0, self.box), "angle": across}
            line |= {"half": rng.uniform(0.2, 0.32) * self.box, "bend": rng.uniform(-0.25, 0.25)}
            self.lines.append(line | {"end": self.clock + rng.uniform(3, 6)})
        self.lines = [line for line in self.lines if line["end"] > self.clock]
        born = []
        for line in self.lines:
            line["column"] += mean[0]
            line["row"] += mean[1]
            for _ in range(rng.poisson(2 * line["half"] / (11 * self.fine) * self.vigor * hours / 0.6)):
                along = rng.uniform(-line["half"], line["half"])
                ahead = line["bend"] * along**2 / line["half"] + rng.normal(0, 3.5 * self.fine)
                column = line["column"] + along * np.cos(line["angle"]) - ahead * np.sin(line["angle"])
                row = line["row"] + along * np.sin(line["angle"]) + ahead * np.cos(line["angle"])
                born.append(self._new(column, row, line["angle"], boost=3.5))
        return born
