"""Reproducible measurements behind `hongyan bench`: a load generator, ceilings to compare with, reports."""
