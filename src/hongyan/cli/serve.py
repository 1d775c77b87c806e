"""`hongyan serve`: run the server until it is told to stop."""

from typing import Annotated

from hongyan import process
from hongyan.cli.options import Config, Database, DataDirectory, option, settings_for


def serve(
    config: Config = None,
    data_dir: DataDirectory = None,
    database: Database = None,
    host: Annotated[str | None, option("host", "ADDRESS")] = None,
    http_port: Annotated[str | None, option("http_port", "PORT")] = None,
    gateway_port: Annotated[str | None, option("gateway_port", "PORT")] = None,
    tls_cert: Annotated[str | None, option("tls_cert", "FILE")] = None,
    tls_key: Annotated[str | None, option("tls_key", "FILE")] = None,
    public_url: Annotated[str | None, option("public_url", "URL")] = None,
    public_gateway_url: Annotated[str | None, option("public_gateway_url", "URL")] = None,
    trusted_proxies: Annotated[str | None, option("trusted_proxies", "ADDRESS,…")] = None,
    metrics_from: Annotated[str | None, option("metrics_from", "ADDRESS,…")] = None,
    allowed_private: Annotated[str | None, option("allowed_private", "ADDRESS,…")] = None,
    redis: Annotated[str | None, option("redis", "URL")] = None,
    log_level: Annotated[str | None, option("log_level", "LEVEL")] = None,
    log_format: Annotated[str | None, option("log_format", "FORMAT")] = None,
) -> None:
    """Run the server until it is told to stop (SIGTERM, or Ctrl+C)."""
    settings = settings_for(**locals())
    process.tune()  # first: loading all of the program is many young objects as well
    from hongyan import app

    app.serve(settings)
