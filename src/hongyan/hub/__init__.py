"""Telling people elsewhere: one content model, and a connector for each kind of address on each outside platform."""
