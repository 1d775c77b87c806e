"""Signatures of DingTalk (connectors reference 2.1, 2.7)."""

import base64
import hmac


def robot_sign(secret: str, timestamp: str) -> str:
    """What is sent to a robot, and what the app's robot sends: the secret signs the time (ms) and itself."""
    return base64.b64encode(hmac.digest(secret.encode(), f"{timestamp}\n{secret}".encode(), "sha256")).decode()


def card_sign(secret: str, timestamp: str) -> str:
    """What is pressed on an interactive card: the secret signs the time (ms)."""
    return base64.b64encode(hmac.digest(secret.encode(), timestamp.encode(), "sha256")).decode()
