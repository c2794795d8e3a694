"""Pictures: the animated nowcast, score plots, galleries of cases."""

from nowcast.visualization.animation import animate

__all__ = ["animate"]
