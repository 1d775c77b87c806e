"""Hongyan's own REST API, version 1: one file per resource. Missing and forbidden look the same."""
