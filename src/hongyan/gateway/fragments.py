"""A message in fragments (RFC 6455 section 5.4); picows hands them out as they come."""


class Fragments:
    __slots__ = ("gathered", "is_text")

    def __init__(self, is_text: bool) -> None:
        self.gathered = bytearray()
        self.is_text = is_text
