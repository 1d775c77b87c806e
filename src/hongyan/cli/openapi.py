"""`hongyan openapi`: the description of the HTTP interface."""

from hongyan.cli.output import print_json


def openapi() -> None:
    """Print the OpenAPI document of the HTTP interface for LeanCloud's SDKs and REST callers."""
    # Imported when needed: the framework would slow down `hongyan --help`.
    from hongyan.api.openapi import document

    print_json(document())
