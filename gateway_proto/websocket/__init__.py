"""Bytes to messages and back: the WebSocket layer, usable by itself behind the Protocol `WsClient`."""

from .client import WebSocketClient
from .events import Broken, CloseReceived, Message, Opened, Refused, WsClient, WsEvent
from .frames import FrameOpcode, apply_mask, close_payload, encode_frame

__all__ = [
    "Broken",
    "CloseReceived",
    "FrameOpcode",
    "Message",
    "Opened",
    "Refused",
    "WebSocketClient",
    "WsClient",
    "WsEvent",
    "apply_mask",
    "close_payload",
    "encode_frame",
]
