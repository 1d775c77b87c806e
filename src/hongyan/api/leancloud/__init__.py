"""The HTTP calls of the LeanCloud SDKs."""
