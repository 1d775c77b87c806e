"""A websocket library's reading of one frame."""

from websockets.frames import Frame
from websockets.streams import StreamReader


def read_frame(data: bytes) -> tuple[int, bytes]:
    """Opcode and payload of the one final, unmasked frame that the bytes are."""
    reader = StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    parsing = Frame.parse(reader.read_exact, mask=False)
    try:
        while True:
            next(parsing)
    except StopIteration as done:
        frame: Frame = done.value
    assert frame.fin
    assert not reader.buffer, "bytes after the frame"
    return int(frame.opcode), bytes(frame.data)
