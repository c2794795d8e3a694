"""Pictures: the animated nowcast, score plots, galleries of cases, training curves."""

from nowcast.visualization.animation import animate
from nowcast.visualization.gallery import Case, plot_case, plot_gallery
from nowcast.visualization.skill import plot_scores
from nowcast.visualization.training_curve import plot_training

__all__ = ["Case", "animate", "plot_case", "plot_gallery", "plot_scores", "plot_training"]
