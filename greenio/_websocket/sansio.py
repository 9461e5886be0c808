"""Frames and handshakes, made and parsed by the sans-I/O layer of `websockets`.

Rules
    1. This is the only module that imports `websockets`, and only when a WebSocket is made.
    2. Its objects have no sockets, and never wait.

What does not belong here: receiving and sending bytes (receiving.py, sending.py).
"""

from __future__ import annotations

from struct import pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

__all__ = [
    "WINDOW_BITS", "accept_key", "client_handshake", "client_protocol", "frame_head", "mask_function",
    "need_websockets", "negotiate_compression", "say_close", "server_protocol", "whole_frame",
]  # fmt: skip

#: For compression: 4 KiB of history in each direction, instead of the 32 KiB that zlib takes by default.
WINDOW_BITS = 12
_LEAST_VERSION = 14
_COMPRESS = {"memLevel": 5}

websockets: Any = None
_modules: dict[str, Any] = {}


def need_websockets() -> None:
    """Import `websockets`. Raises ImportError, which says what to install, if that is impossible."""
    global websockets
    if websockets is not None:
        return
    try:
        import websockets as package
        import websockets.client as client
        import websockets.exceptions as exceptions
        import websockets.frames as frames
        import websockets.protocol as protocol
        import websockets.uri as uri
    except ImportError:
        raise ImportError("greenio.websocket needs websockets: pip install 'greenio[websocket]'") from None
    version = getattr(package, "__version__", "0")
    if int(version.split(".")[0]) < _LEAST_VERSION:
        raise ImportError(f"greenio.websocket needs websockets >= {_LEAST_VERSION}, not {version}")
    _modules.update(client=client, exceptions=exceptions, frames=frames, protocol=protocol, uri=uri)
    websockets = package


def mask_function() -> Callable[[bytes, bytes], bytes]:
    """Return the function that masks and unmasks: ``(data, mask)`` -> bytes. It is compiled where possible."""
    return _modules["frames"].apply_mask  # type: ignore[no-any-return]


def _as_size(max_size):
    return max_size if max_size < 1 << 62 else None


def server_protocol(max_size: int, extensions: Sequence[Any]) -> Any:
    """Return the protocol object of a server's connection after the handshake."""
    module = _modules["protocol"]
    protocol = module.Protocol(module.Side.SERVER, max_size=_as_size(max_size))
    protocol.extensions = list(extensions)
    return protocol


def accept_key(key: str) -> str:
    """Return the server's Sec-WebSocket-Accept for a client's Sec-WebSocket-Key (str)."""
    from websockets.utils import accept_key

    return accept_key(key)


def negotiate_compression(offered: str) -> tuple[str, Any] | None:
    """Agree on compression, if a client's Sec-WebSocket-Extensions offers it.

    Returns ``(the answer's field, the extension)``, or None. Raises ValueError if `offered` is malformed.
    """
    from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
    from websockets.headers import build_extension, parse_extension

    factory = ServerPerMessageDeflateFactory(
        server_max_window_bits=WINDOW_BITS, client_max_window_bits=WINDOW_BITS, compress_settings=_COMPRESS
    )
    try:
        parsed = parse_extension(offered)
    except _modules["exceptions"].InvalidHandshake as error:
        raise ValueError(str(error)) from None
    for name, parameters in parsed:
        if name == factory.name:
            try:
                answer, extension = factory.process_request_params(parameters, [])
            except _modules["exceptions"].NegotiationError:
                continue
            return build_extension([(name, answer)]), extension
    return None


# --- clients ---


def client_protocol(
    uri: str, origin: str | None, subprotocols: Sequence[str] | None, max_size: int, compression: bool
) -> tuple[Any, Any]:
    """Return the protocol object of a client's connection before the handshake, and the parts of the URI.

    Raises ValueError if `uri` is malformed.
    """
    extensions = None
    if compression:
        from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

        extensions = [
            ClientPerMessageDeflateFactory(
                server_max_window_bits=WINDOW_BITS, client_max_window_bits=WINDOW_BITS, compress_settings=_COMPRESS
            )
        ]
    try:
        parsed = _modules["uri"].parse_uri(uri)
    except _modules["exceptions"].InvalidURI as error:
        raise ValueError(str(error)) from None
    protocol = _modules["client"].ClientProtocol(
        parsed, origin=origin, extensions=extensions, subprotocols=subprotocols, max_size=_as_size(max_size)
    )
    return protocol, parsed


def client_handshake(protocol: Any, headers: Sequence[tuple[str, str]]) -> bytes:
    """Return a client's request for a WebSocket, with these fields added (bytes)."""
    request = protocol.connect()
    for name, value in headers:
        if name.lower() in ("host", "origin", "authorization"):
            while name in request.headers:
                del request.headers[name]
        request.headers[name] = value
    protocol.send_request(request)
    return b"".join(protocol.data_to_send())


# --- frames ---


def say_close(protocol: Any, code: int, reason: str) -> bytes:
    """Return a close frame, after the data that the protocol still has to send (bytes)."""
    try:
        protocol.send_close(code, reason)
    except _modules["exceptions"].InvalidState:
        pass  # another thread has just taken in the peer's close frame, which is answered already
    return b"".join(protocol.data_to_send())


def whole_frame(opcode: int, payload: bytes, masks: bool, extensions: Sequence[Any]) -> bytes:
    """Return a message as one frame (bytes), which the extensions may compress. `masks`: whether a client sends it."""
    frames = _modules["frames"]
    return frames.Frame(frames.Opcode(opcode), payload).serialize(mask=masks, extensions=extensions)  # type: ignore[no-any-return]


def frame_head(first: int, length: int, masked: int = 0) -> bytes:
    """Return the head of a frame (bytes). `first`: its first byte. `length`: of the payload. `masked`: 0, or 128."""
    if length < 126:
        return pack("!BB", first, masked | length)
    if length < 65536:
        return pack("!BBH", first, masked | 126, length)
    return pack("!BBQ", first, masked | 127, length)
