"""Reproducible measurements behind `hongyan bench`: a load generator, ceilings to compare with, reports."""

HELP = "Measure this machine: a server of its own on loopback, a load, and the ceiling."
