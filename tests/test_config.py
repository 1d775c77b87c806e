"""Settings: where they come from, which source decides, and the sentence for each mistake."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from hongyan.config import FIELDS, GatewayOptions, Settings
from hongyan.config_load import load
from hongyan.errors import StartupError


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "hongyan.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_without_any_source_the_defaults_hold() -> None:
    assert load(environment={}) == Settings()


def test_sdks_have_time_to_speak_and_to_sign_inferred() -> None:
    """They are silent for up to 180 s and may wait for a signature before they log in."""
    options = Settings().gateway
    assert 360 <= options.read_timeout <= 400
    assert options.login_timeout >= 60


def test_later_sources_win(tmp_path: Path) -> None:
    file = write(tmp_path, 'http_port = 1\ngateway_port = 2\nhost = "::1"\ndata_dir = "kept"')
    environment = {"HONGYAN_HTTP_PORT": "3", "HONGYAN_GATEWAY_PORT": "4"}
    settings = load(file, {"http_port": "5", "host": None}, environment)
    assert (settings.http_port, settings.gateway_port, settings.host) == (5, 4, "::1")
    assert settings.data_dir == Path("kept")


def test_the_environment_may_name_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "http_port = 7")
    assert load(environment={"HONGYAN_CONFIG": str(file)}).http_port == 7


def test_a_section_is_a_table_in_the_file_and_a_longer_name_in_the_environment(tmp_path: Path) -> None:
    file = write(tmp_path, "[gateway]\nmax_frame = 2048\nbacklog = 7")
    settings = load(file, environment={"HONGYAN_GATEWAY_BACKLOG": "8"})
    assert settings.gateway == GatewayOptions(max_frame=2048, backlog=8)


def test_lists_are_separated_by_commas_in_texts(tmp_path: Path) -> None:
    wanted = ("10.0.0.0/8", "192.0.2.7")
    from_file = load(write(tmp_path, 'trusted_proxies = ["10.0.0.0/8", "192.0.2.7"]'), environment={})
    from_option = load(options={"trusted_proxies": "10.0.0.0/8, 192.0.2.7,"}, environment={})
    assert (from_file.trusted_proxies, from_option.trusted_proxies) == (wanted, wanted)


def test_an_empty_variable_is_not_set() -> None:
    assert load(environment={"HONGYAN_HTTP_PORT": "", "HONGYAN_TLS_CERT": ""}) == Settings()


def test_variables_of_a_container_platform_are_not_ours() -> None:
    links = (
        "SERVICE_HOST",
        "SERVICE_PORT",
        "SERVICE_PORT_HTTP",
        "PORT",
        "PORT_8000_TCP",
        "PORT_8000_TCP_ADDR",
    )
    assert load(environment={f"HONGYAN_{link}": "tcp://192.0.2.1:8000" for link in links}) == Settings()


def test_the_database_stands_in_the_data_directory_unless_set() -> None:
    assert load(options={"data_dir": "d"}, environment={}).database_path == Path("d/hongyan.db")
    absolute = load(options={"database": "sqlite:////srv/chat.db"}, environment={})
    assert absolute.database_path == Path("/srv/chat.db")


def test_a_home_directory_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/srv/goose")
    assert load(options={"data_dir": "~/data"}, environment={}).data_dir == Path("/srv/goose/data")


FILE_MISTAKES = {
    "htpp_port = 1": "`htpp_port` in {file} is unknown (perhaps you mean `http_port`)",
    "[gateway]\nmax_fram = 1": "`gateway.max_fram` in {file} is unknown (perhaps you mean `gateway.m",
    "[host]\nname = 1": "Section `[host]` in {file} is unknown.",
    "[gatewy]\nbacklog = 1": "Section `[gatewy]` in {file} is unknown (perhaps you mean `gateway`)",
    "[gatewy]": "Section `[gatewy]` in {file} is unknown (perhaps you mean `gateway`)",
    "http_port = 8001": "`http_port` and `gateway_port` are both 8001: make them differ",
    "gateway = 1": "`gateway` in {file} is a section",
    'http_port = "a"': "`http_port` in {file} must be a whole number from 0 to 65535",
    "http_port = 65536": "`http_port` in {file} must be a whole number from 0 to 65535",
    "http_port = true": "`http_port` in {file} must be a whole number",
    "host = 1": "`host` in {file} must be a text",
    "data_dir = ''": "`data_dir` in {file} must be a path",
    "tls_cert = 1": "`tls_cert` in {file} must be a path",
    "trusted_proxies = '10.0.0.1'": "`trusted_proxies` in {file} must be a list of texts",
    "trusted_proxies = ['proxy']": "`trusted_proxies` must list addresses or networks",
    "metrics_from = ['10.0.0.1/8']": "`metrics_from` must list addresses or networks",
    "log_level = 'loud'": "`log_level` in {file} must be one of",
    "stop_timeout = inf": "`stop_timeout` in {file} must be a number from 0 to 3600",
    "stop_timeout = nan": "`stop_timeout` in {file} must be a number from 0 to 3600",
    "tls_cert = 'cert.pem'": "`tls_cert` and `tls_key` need each other",
    "redis = 'redis://localhost'": "`redis` is not available in this version",
    "database = 'postgresql://u:p@host/d'": "`database` must be `sqlite:///PATH`",
    "database = 'sqlite:///:memory:'": "`database` must be `sqlite:///PATH`",
    "database = 'sqlite://'": "`database` must be `sqlite:///PATH`",
    "public_url = 'chat.example.com'": "`public_url` must be a URL",
    "public_url = 'https://'": "`public_url` must be a URL",
    "public_url = 'https://a:99999'": "`public_url` must be a URL",
    "public_gateway_url = 'https://a'": "`public_gateway_url` must be a URL that begins with ws:// or wss://",
    "public_gateway_url = 'ws://a b'": "`public_gateway_url` must be a URL",
    "public_gateway_url = 'ws://a\\nb'": "`public_gateway_url` must be a URL",
    "[files]\nurl = 'files.example.com'": "`files.url` must be a URL",
    "[files]\nurl = 'ftp://files.example.com'": "`files.url` must be a URL that begins with http:// or https://",
    "[files]\ns3_endpoint = 'minio:9000'": "`files.s3_endpoint` must be a URL",
    "[files]\ns3_bucket = '../x'": "`files.s3_bucket` must be the name of a bucket",
    "[files]\ns3_bucket = 'chat'\ndirectory = 'x'": "`files.directory` and `files.s3_bucket` exclude each other",
    "[files]\ns3_access_key = 'x'": "`files.s3_access_key` and `files.s3_secret_key` need each other",
    "[files]\ns3_prefix = '/x'": "`files.s3_prefix` must have letters",
    "[files]\nmax_uploads = 0": "`files.max_uploads` in {file} must be a whole number from 1 to 10000",
    "http_port =": "{file} is not valid TOML",
    "a = 1\na = 2": "{file} is not valid TOML",
}


@pytest.mark.parametrize(("text", "sentence"), FILE_MISTAKES.items(), ids=FILE_MISTAKES)
def test_a_mistake_in_the_file_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    file = write(tmp_path, text)
    assert_refused(sentence.format(file=file), file)


def test_a_file_that_is_not_text_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "hongyan.toml"
    file.write_bytes(b"\xff\xfe")
    assert_refused("is not valid TOML", file)


def test_an_absent_file_is_one_sentence(tmp_path: Path) -> None:
    assert_refused("can't be read: No such file or directory", tmp_path / "absent.toml")


ENVIRONMENT_MISTAKES = {
    "HONGYAN_HTPP_PORT": "HONGYAN_HTPP_PORT is no setting (perhaps you mean `HONGYAN_HTTP_PORT`)",
    "HONGYAN_HTTP_PORT": "`http_port` (HONGYAN_HTTP_PORT) must be a whole number from 0 to 65535",
    "HONGYAN_GATEWAY_LOGIN_TIMEOUT": "`gateway.login_timeout` (HONGYAN_GATEWAY_LOGIN_TIMEOUT) must be",
}


@pytest.mark.parametrize(("variable", "sentence"), ENVIRONMENT_MISTAKES.items())
def test_a_mistake_in_the_environment_is_one_sentence(variable: str, sentence: str) -> None:
    assert_refused(sentence, environment={variable: "soon"})


def test_a_mistake_on_the_command_line_names_the_option() -> None:
    assert_refused("`http_port` (--http-port) must be", options={"http_port": "http"})


def test_a_sentence_does_not_repeat_a_password(tmp_path: Path) -> None:
    with pytest.raises(StartupError) as caught:
        load(write(tmp_path, "database = 'postgresql://goose:s3cret@host/d'"), environment={})
    assert "s3cret" not in str(caught.value)


def test_every_setting_explains_itself_in_both_languages_and_has_its_own_variable() -> None:
    for field in FIELDS.values():
        assert re.search(r"[.]$", field.help)
        assert re.search(r"[\u4e00-\u9fff].*。$", field.help_zh)
        assert field.values
        assert field.values_zh
    assert len({field.variable for field in FIELDS.values()}) == len(FIELDS)


def assert_refused(
    sentence: str,
    file: Path | None = None,
    options: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    with pytest.raises(StartupError) as caught:
        load(file, options, environment or {})
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
