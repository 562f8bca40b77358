"""The keys by which a client leaves a container without stopping it."""

from __future__ import annotations


class DetachKeys:
    """Notices the sequence (``ctrl-p,ctrl-q`` unless told otherwise) by which a client leaves without stopping."""

    def __init__(self, keys: bytes = b"\x10\x11") -> None:
        self._keys = keys
        self._seen = 0

    def filter(self, data: bytes) -> tuple[bytes, bool]:
        """What of ``data`` goes on to the program, and whether the client has detached."""
        out = bytearray()
        for byte in data:
            if self._keys and byte == self._keys[self._seen]:
                self._seen += 1
                if self._seen == len(self._keys):
                    self._seen = 0
                    return bytes(out), True
                continue
            if self._seen:
                out += self._keys[: self._seen]
                self._seen = 1 if self._keys and byte == self._keys[0] else 0
                if self._seen:
                    continue
            out.append(byte)
        return bytes(out), False


def parse_keys(text: str) -> bytes | None:
    """``ctrl-p,ctrl-q`` as bytes; None when it is no such sequence."""
    keys = bytearray()
    for word in text.split(","):
        if len(word) == 1:
            keys += word.encode()
        elif (
            word.startswith("ctrl-")
            and len(word) == 6
            and ((word[5].isascii() and word[5].isalpha()) or word[5] in "@[\\]^_")
        ):
            keys.append(ord(word[5].upper()) & 0x1F)
        else:
            return None
    return bytes(keys)
