"""The command line as processes: what it prints, where its commands are carried out, and what mistakes say."""

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

import hongyan
from hongyan import admin
from hongyan.store import database
from tests.support import programs
from tests.support.programs import PROGRAM
from tests.support.server import Server

ANY_PORTS = {"HONGYAN_HTTP_PORT": "0", "HONGYAN_GATEWAY_PORT": "0"}


def run(*arguments: object, input: str = "") -> subprocess.CompletedProcess[str]:
    """Run `hongyan` with arguments until it ends. Another server may hold the default ports meanwhile."""
    return programs.run(arguments, environment=ANY_PORTS, input=input)


def run_script(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The same by the script that was installed, which all the others do without: its start is slow."""
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=60)


def printed(*arguments: object) -> object:
    """What a successful command prints, which is JSON on one line."""
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout)


def test_the_version() -> None:
    done = run_script("--version")
    assert (done.returncode, done.stdout) == (0, f"hongyan {hongyan.__version__}\n")


def test_the_package_runs_like_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "hongyan", "--version"], capture_output=True, text=True, timeout=60)
    assert done.stdout == f"hongyan {hongyan.__version__}\n"


def test_help_names_every_command() -> None:
    text = run_script("--help").stdout
    for command in ("serve", "app", "goaway", "doctor", "sweep", "bench"):
        assert re.search(rf"\b{command}\b", text)


def test_an_app_is_created_listed_and_changed_without_a_server(tmp_path: Path) -> None:
    data = ("--data-dir", tmp_path / "data")
    keys = ("--id", "shop", "--key", "k", "--master-key", "m")
    created = printed("app", "create", "Shop", *keys, "--set", "limits=off", "--set", "members_max=1000", *data)
    assert isinstance(created, dict)
    settings = created.pop("settings")
    hook_key = created.pop("hook_key")
    assert created == {"id": "shop", "name": "Shop", "key": "k", "master_key": "m"}
    assert len(hook_key) >= 24
    assert (settings["limits"], settings["members_max"]) == (False, 1000)
    changed = printed("app", "set", "Shop", "limits=on", "members_max=10", *data)
    assert isinstance(changed, dict)
    assert changed["hook_key"] == hook_key
    assert (changed["settings"]["limits"], changed["settings"]["members_max"]) == (True, 10)
    assert printed("app", "list", *data) == [changed]


def test_a_running_server_knows_a_new_app_at_once(server: Server) -> None:
    data = ("--data-dir", server.data_dir)
    created = printed("app", "create", "Shop", "--id", "shop", *data)
    assert server.get("/v1/route?appId=shop")[0] == 200
    changed = printed("app", "set", "shop", "limits=off", *data)
    assert isinstance(created, dict)
    assert changed == {**created, "settings": {**created["settings"], "limits": False}}
    assert_healthy(server)
    server.restart()
    assert server.get("/v1/route?appId=shop")[0] == 200


def assert_healthy(server: Server) -> None:
    """The doctor examines a running server, and finds nothing wrong."""
    done = run("doctor", "--data-dir", server.data_dir)
    found = findings(done)
    assert done.returncode == 0
    assert f"{server.http_port} and {server.gateway_port}, used by the server" in found["Ports"]
    assert found["Database schema"].endswith("current")
    assert found["Database integrity"].endswith("sound")


def test_the_doctor_knows_that_a_running_server_was_given_tls_files(tls_server: Server) -> None:
    found = findings(run("doctor", "--data-dir", tls_server.data_dir))
    assert "the server was started with them" in found["TLS files"]


def test_commands_at_the_same_time_take_turns(tmp_path: Path) -> None:
    ids = {"one", "two", "three"}
    command = [PROGRAM, "app", "create", "x", "--data-dir", tmp_path, "--id"]
    processes = [subprocess.Popen([*command, app_id], stdout=subprocess.PIPE, text=True) for app_id in ids]
    answers = [json.loads(process.communicate(timeout=60)[0])["id"] for process in processes]
    apps = printed("app", "list", "--data-dir", tmp_path)
    assert isinstance(apps, list)
    assert set(answers) == {app["id"] for app in apps} == ids


MISTAKES = {
    "no such command": (["fly"], "No such command 'fly'."),
    "no such option": (["serve", "--fly"], "No such option: --fly"),
    "a missing argument": (["app", "create"], "Missing argument"),
    "a wrong option": (["serve", "--http-port", "http"], "`http_port` (--http-port) must be a whole number from 0"),
    "no data directory": (["app", "list", "--data-dir", "{tmp}/absent"], "{tmp}/absent does not exist."),
    "no such file": (["doctor", "--config", "{tmp}/absent"], "{tmp}/absent can't be read: No such file"),
    "not a pair": (["app", "create", "x", "--data-dir", "{tmp}", "--set", "limits"], "`limits` is no setting"),
    "the same twice": (["app", "create", "x", "--data-dir", "{tmp}", *["--set", "edit=on"] * 2], "edit is given twice"),
    "no such setting": (["app", "create", "x", "--data-dir", "{tmp}", "--set", "a=b"], "no app setting 'a'"),
    "no name": (["app", "create", "", "--data-dir", "{tmp}"], "An app's name has 1 to 128"),
    "a blank name": (["app", "create", "  ", "--data-dir", "{tmp}"], "An app's name has 1 to 128"),
    "a long name": (["app", "create", "x" * 129, "--data-dir", "{tmp}"], "An app's name has 1 to 128"),
    "a wrong id": (["app", "create", "x", "--data-dir", "{tmp}", "--id", "a b"], "An app id has 1 to 128"),
    "a wrong key": (["app", "create", "x", "--data-dir", "{tmp}", "--key", "a,b"], "The key has printable"),
    "nobody to send away": (["goaway", "--data-dir", "{tmp}"], "No server runs on the data directory {tmp}."),
    "no place to look": (["goaway", "--data-dir", "{tmp}/absent"], "{tmp}/absent does not exist."),
    "a time that is none": (["goaway", "--over", "nan", "--data-dir", "{tmp}"], "Invalid value for '--over'"),
    "time running backwards": (["goaway", "--over", "-1", "--data-dir", "{tmp}"], "Invalid value for '--over'"),
    "no such app": (["app", "set", "x", "limits=off", "--data-dir", "{tmp}"], "No app has the id or name 'x'."),
}


@pytest.mark.parametrize(("arguments", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    done = run(*[part.format(tmp=tmp_path) for part in arguments])
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"hongyan: .+\n", done.stderr)
    assert sentence.format(tmp=tmp_path) in done.stderr


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [PROGRAM, "app", "create", "x", "--data-dir", tmp_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()
    process.wait(60)
    process.stderr.close()


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Each check of `hongyan doctor` with its result and finding."""
    rows = [re.split(r"  +", line.rstrip(), maxsplit=1) for line in done.stdout.splitlines()[1:]]
    return dict(rows)


def test_the_doctor_finds_nothing_wrong_before_the_first_start_and_makes_nothing(tmp_path: Path) -> None:
    done = run("doctor", "--data-dir", tmp_path / "data")
    assert done.returncode == 0
    found = findings(done)
    assert list(found) == [
        "Python",
        "SQLite",
        "Data directory",
        "Secret key",
        "Files",
        "Free space",
        "Ports",
        "File descriptors",
        "TLS files",
        "Database schema",
        "Database integrity",
        "Sweep",
        "Channels",
        "Clock",
    ]
    assert found["Ports"].endswith("the start chooses a free port where the setting is 0")
    assert not (tmp_path / "data").exists()


def test_the_doctor_tells_what_fails(tmp_path: Path) -> None:
    printed("app", "create", "x", "--data-dir", tmp_path)
    database = tmp_path / "hongyan.db"
    damage(database)
    tomorrow = time.time() + 86_400
    os.utime(database, (tomorrow, tomorrow))
    certificate = expired(tmp_path)
    file = tmp_path / "hongyan.toml"
    file.write_text(f'host = "192.0.2.1"\ntls_cert = "{certificate}"\ntls_key = "{certificate}"')
    done = run("doctor", "--data-dir", tmp_path, "--config", file)
    failed = {name: text for name, text in findings(done).items() if text.startswith("failed")}
    assert done.returncode == 1
    assert set(failed) == {"Ports", "TLS files", "Database integrity", "Clock"}
    assert "does not belong to this machine" in failed["Ports"]
    assert "was valid until" in failed["TLS files"]
    assert "s behind the last change of the database" in failed["Clock"]


def test_the_doctor_tells_that_files_have_no_place(tmp_path: Path) -> None:
    file = tmp_path / "hongyan.toml"
    file.write_text(
        '[files]\ns3_bucket = "chat"\ns3_endpoint = "http://127.0.0.1:9"\ns3_access_key = "a"\ns3_secret_key = "hidden"'
    )
    done = run("doctor", "--data-dir", tmp_path / "data", "--config", file)
    assert done.returncode == 1
    assert findings(done)["Files"].startswith("failed  the bucket chat: the store of the files can't be reached (")
    assert "hidden" not in done.stdout
    (tmp_path / "data").mkdir(0o700)
    (tmp_path / "data" / "files").write_text("")
    assert findings(run("doctor", "--data-dir", tmp_path / "data"))["Files"].startswith("failed ")


def test_the_doctor_warns_of_a_directory_that_is_open_to_others(tmp_path: Path) -> None:
    data = tmp_path / "our data"
    printed("app", "create", "x", "--data-dir", data)
    data.chmod(0o710)
    done = run("doctor", "--data-dir", data)
    assert done.returncode == 0
    assert re.match(r"warning .*is open to other users", findings(done)["Data directory"])
    advice = re.search("`(.+)`", findings(done)["Data directory"])
    assert advice
    subprocess.run(shlex.split(advice[1]), check=True)
    assert findings(run("doctor", "--data-dir", data))["Data directory"].startswith("ok ")


SECRET_MISTAKES = {
    "missing": (None, "is missing"),
    "short": (b"short", "must have 32 bytes"),
    "another": (bytes(32), "is not the one"),
}


@pytest.mark.parametrize(("content", "sentence"), SECRET_MISTAKES.values(), ids=SECRET_MISTAKES)
def test_the_doctor_checks_the_secret(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    printed("app", "create", "x", "--data-dir", tmp_path)
    secret = tmp_path / "secret.key"
    secret.unlink()
    if content is not None:
        secret.write_bytes(content)
    done = run("doctor", "--data-dir", tmp_path)
    assert done.returncode == 1
    assert re.match(rf"failed +.*secret\.key.* {sentence}", findings(done)["Secret key"])
    assert (secret.read_bytes() if secret.exists() else None) == content


def damage(database: Path) -> None:
    """Overwrite pages in the middle of a database."""
    size = database.stat().st_size
    with database.open("r+b") as stream:
        stream.seek(size // 8192 * 4096)
        stream.write(b"\xff" * 8192)


def expired(folder: Path) -> Path:
    """A file with a certificate that ended yesterday, and its key."""
    file = folder / "expired.pem"
    end = datetime.now(UTC) - timedelta(days=1)
    issued = trustme.CA().issue_cert("localhost", not_before=end - timedelta(days=1), not_after=end)
    file.write_bytes(issued.cert_chain_pems[0].bytes() + issued.private_key_pem.bytes())
    return file


def old_message(data: Path) -> None:
    """A conversation of app 1 with a message of long ago, as an import would leave it."""
    with contextlib.closing(database.connect(data / "hongyan.db")) as connection:
        connection.execute(
            "INSERT INTO conversation (app, id, kind, creator, created_at, updated_at, last_seq, last_message_at)"
            " VALUES (1, 'old', 1, 'ann', 1, 1, 1, 1000)"
        )
        connection.execute(
            "INSERT INTO message (conversation, timestamp, seq, id, sender, body)"
            " VALUES (1, 1000, 1, 'm', 'ann', x'00')"
        )


def messages(data: Path) -> int:
    with contextlib.closing(database.connect(data / "hongyan.db", read_only=True)) as connection:
        found: int = connection.execute("SELECT count(*) FROM message").fetchone()[0]
        return found


def test_a_sweep_is_shown_asked_for_and_done_without_a_server(tmp_path: Path) -> None:
    data = ("--data-dir", tmp_path)
    printed("app", "create", "Shop", "--id", "shop", *data)
    old_message(tmp_path)
    assert run("sweep", *data).stdout == "Nothing has expired.\n"
    settings = printed("app", "set", "shop", "preset=leancloud", *data)["settings"]  # type: ignore[index]
    assert (settings["message_days"], settings["conversation_days"]) == (180, 180)
    refused = run("sweep", *data, input="n\n")
    assert (refused.returncode, messages(tmp_path)) == (0, 1)
    assert re.search(r"^shop +Shop +1 +1 +waits for a yes *$", refused.stdout, re.MULTILINE)
    assert refused.stdout.endswith("Nothing is deleted.\n")
    assert (run("sweep", *data, input="").returncode, messages(tmp_path)) == (130, 1)  # nobody is there to say yes
    agreed = run("sweep", *data, input="y\n")
    assert agreed.stdout.endswith("Deleted: 0 messages, 1 conversations with theirs.\n")
    assert (agreed.returncode, messages(tmp_path)) == (0, 0)
    assert run("sweep", "--yes", *data).stdout == "Nothing has expired.\n"


def logged(server: Server, text: str) -> None:
    """Wait until the server has logged the text: a file has no event for it."""
    deadline = time.monotonic() + 60
    while text not in server.log:
        assert time.monotonic() < deadline, f"{text!r} is not in the log:\n{server.log}"
        time.sleep(0.02)


def test_a_sweep_that_waits_is_told_by_log_and_doctor_and_done_by_the_server(
    server_factory: Callable[..., Server],
) -> None:
    server = server_factory()
    data = ("--data-dir", server.data_dir)
    printed("app", "create", "Shop", "--id", "shop", *data)
    old_message(server.data_dir)
    printed("app", "set", "shop", "message_days=30", *data)
    server.start()
    told = findings(run("doctor", *data))["Sweep"]
    assert re.fullmatch("warning +waits for a yes to delete what may be too old of shop: run `hongyan sweep`", told)
    admin.call(server.data_dir / "admin.sock", admin.Sweep({}))  # has it look, without a yes
    logged(server, "`hongyan sweep` asks for a yes")
    assert messages(server.data_dir) == 1
    told = findings(run("doctor", *data))["Sweep"]
    assert re.fullmatch(
        "warning +waits for a yes to delete 1 messages and 0 conversations of shop: run `hongyan sweep`", told
    )
    assert run("sweep", "--yes", *data).stdout.endswith("The server deletes it now, beside its other work.\n")
    logged(server, "swept: 1 messages, 0 conversations with theirs")
    assert messages(server.data_dir) == 0
    assert findings(run("doctor", *data))["Sweep"].split(maxsplit=1) == ["ok", "nothing waits"]


def test_an_unknown_preset_is_refused(tmp_path: Path) -> None:
    data = ("--data-dir", tmp_path)
    printed("app", "create", "Shop", "--id", "shop", *data)
    done = run("app", "set", "shop", "preset=other", *data)
    assert (done.returncode, done.stderr) == (2, "hongyan: There is no preset 'other'; the presets are leancloud.\n")
