"""Sweeps over settings, and experiments of the literature: many trainings that answer one question."""

from rnn_core.experiments.base import Experiment, Row, Trial
from rnn_core.experiments.catalogue import EXPERIMENTS
from rnn_core.experiments.grid import Grid, parse_grid
from rnn_core.experiments.points import Point, PointResult
from rnn_core.experiments.results import Result
from rnn_core.experiments.sweep import Sweep

__all__ = ["EXPERIMENTS", "Experiment", "Grid", "Point", "PointResult", "Result", "Row", "Sweep", "Trial", "parse_grid"]
