"""A process that receives webhooks, well or badly, and writes down each call as a line of JSON.

The path says how it answers: `/ok`, `/slow`, `/hang`, `/garbage`, `/close`, `/redirect`, or a status such as `/500`.
`/switch` answers as the file `PATH.switch` says, for a receiver that changes its mind.
"""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, TextIO

from tests.support.server import HOST, free_ports

SLOW = 0.05
"""Seconds that a slow answer takes."""


class Receiver:
    """The process, as a test sees it. Always `close` it."""

    def __init__(self, file: Path) -> None:
        (self.port,) = free_ports(1)
        self._file = file
        self._read = 0
        self._calls: list[dict[str, Any]] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.receiver", str(self.port), str(file)], stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def url(self, how: str = "ok") -> str:
        return f"http://{HOST}:{self.port}/{how}"

    def switch(self, how: str) -> None:
        """What `/switch` answers from now on."""
        written = self._file.with_suffix(".new")
        written.write_text(how)
        written.replace(self._file.with_suffix(".switch"))  # it is read at any time

    def calls(self) -> list[dict[str, Any]]:
        """All that have come: `path`, `headers` and `body`."""
        if self._file.exists():
            with self._file.open("rb") as file:
                file.seek(self._read)
                new = file.read()
            whole = new[: new.rfind(b"\n") + 1]  # the last one may be half written
            self._read += len(whole)
            self._calls += map(json.loads, whole.splitlines())
        return self._calls.copy()

    def ids(self) -> Counter[str]:
        """How often each delivery has come."""
        return Counter(call["headers"]["webhook-id"] for call in self.calls())

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


async def _serve(port: int, file: Path) -> None:
    with file.open("a", buffering=1) as log:

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while await _answer(reader, writer, log, file):
                    await writer.drain()
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            writer.close()

        async with await asyncio.start_server(answer, HOST, port) as server:
            print("ready", flush=True)
            await server.serve_forever()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, log: TextIO, file: Path) -> bool:
    """Answer one call; whether the connection goes on."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    path = first.split()[1]
    log.write(json.dumps({"path": path, "headers": headers, "body": body.decode()}) + "\n")
    how = file.with_suffix(".switch").read_text() if path == "/switch" else path.removeprefix("/")
    if how == "hang":
        await asyncio.Event().wait()
    if how == "slow":
        await asyncio.sleep(SLOW)
    if how == "close":
        return False
    if how == "garbage":
        writer.write(b"\x16\x03\x01 this is no HTTP" * 9)
        return False
    status = {"ok": 204, "slow": 204, "redirect": 302}.get(how) or int(how)
    more = f"Location: http://{HOST}:{writer.get_extra_info('sockname')[1]}/ok\r\n" if status == 302 else ""
    more += "Retry-After: 1\r\n" if status == 429 else ""
    writer.write(f"HTTP/1.1 {status} Said\r\n{more}Content-Length: 0\r\n\r\n".encode())
    return True


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), Path(sys.argv[2])))
