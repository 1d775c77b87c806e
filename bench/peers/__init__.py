"""Other servers under the load of `hongyan bench`: `.venv/bin/python -m bench.peers`."""
