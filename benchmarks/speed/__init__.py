"""Measurements of speed and memory that are committed as results."""
