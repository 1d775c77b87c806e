"""Telling an application's address, in sealed XML (its documentation: 接收消息与事件, 加解密方案说明)."""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from hongyan.sandbox.emulator import Told
from hongyan.sandbox.wecom.world import CORP, Agent

#: How long an answer may take (s), and how often it is tried.
TIME, TRIES = 5.0, 3


def seal(agent: Agent, plain: bytes) -> str:
    """16 random bytes, the length, the message and the corp, padded to 32 bytes, in AES-256-CBC."""
    key = base64.b64decode(agent.aes_key + "=")
    data = secrets.token_bytes(16) + len(plain).to_bytes(4, "big") + plain + CORP.encode()
    missing = 32 - len(data) % 32
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(encryptor.update(data + bytes([missing]) * missing) + encryptor.finalize()).decode()


def sign(agent: Agent, timestamp: str, nonce: str, sealed: str) -> str:
    """What `msg_signature` says."""
    return hashlib.sha1("".join(sorted([agent.token, timestamp, nonce, sealed])).encode()).hexdigest()


def xml(fields: Mapping[str, Any]) -> bytes:
    """As WeCom writes it: numbers as they are, texts as CDATA."""
    return f"<xml>{_inner(fields)}</xml>".encode()


def _inner(fields: Mapping[str, Any]) -> str:
    return "".join(
        f"<{name}>{_value(each)}</{name}>"
        for name, value in fields.items()
        for each in (value if isinstance(value, list) else [value])
    )


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return _inner(value)
    if isinstance(value, int | float):
        return str(value)
    return "<![CDATA[" + str(value).replace("]]>", "]]]]><![CDATA[>") + "]]>"


async def tell(agent: Agent, url: str, fields: Mapping[str, Any], now: float) -> Told:
    """POST a message or an event; what does not answer 200 in time is asked again."""
    sealed = seal(agent, xml(fields))
    body = xml({"ToUserName": CORP, "AgentID": str(agent.id), "Encrypt": sealed})
    return await _ask("POST", _signed(agent, url, sealed, now), body)


async def verify(agent: Agent, url: str, now: float) -> Told:
    """GET what WeCom asks when the address is saved; the plain text must come back."""
    plain = str(secrets.randbelow(10**19))
    sealed = seal(agent, plain.encode())
    told = await _ask("GET", _signed(agent, url, sealed, now, echostr=sealed), b"")
    if told.body != plain:
        raise ValueError(f"the address did not answer the plain text of echostr (HTTP {told.status})")
    return told


def _signed(agent: Agent, url: str, sealed: str, now: float, **more: str) -> str:
    timestamp, nonce = str(int(now)), str(secrets.randbelow(10**10))
    query = {"msg_signature": sign(agent, timestamp, nonce, sealed), "timestamp": timestamp, "nonce": nonce, **more}
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"


async def _ask(method: str, url: str, body: bytes) -> Told:
    told = Told(0, "no answer")
    timeout = aiohttp.ClientTimeout(total=TIME)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for _ in range(TRIES):
            try:
                async with session.request(
                    method, url, data=body, headers={"Content-Type": "text/xml"}, allow_redirects=False
                ) as answer:
                    told = Told(answer.status, (await answer.content.read(65_536)).decode(errors="replace"))
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                told = Told(0, f"no answer: {error or type(error).__name__}")
            if told.status == 200:
                break
    return told
