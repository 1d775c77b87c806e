"""Moving in from LeanCloud, and out: reading its exports, asking its API, writing exports of the same shapes."""
