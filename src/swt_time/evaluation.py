"""Scores over every window of a part, for anything that forecasts windows."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from swt_time.metrics import PointErrors
