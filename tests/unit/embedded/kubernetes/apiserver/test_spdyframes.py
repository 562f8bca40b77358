"""SPDY/3.1 as bytes."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.embedded.kubernetes.apiserver.spdyframes import (
    DICTIONARY,
    PING,
    RST_STREAM,
    SYN_REPLY,
    SYN_STREAM,
    Codec,
    Frame,
    SpdyError,
    data_frame,
    goaway,
    pong,
    reset,
)


def test_the_dictionary_is_the_drafts() -> None:
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_frames_are_read_as_they_were_written() -> None:
    ours, theirs = Codec(), Codec()
    sent = ours.open(1, {"streamtype": "error", "Port": "80"}) + ours.reply(1) + data_frame(1, b"hi", fin=True)
    sent += reset(3, 5) + pong(7) + goaway()
    frames = theirs.feed(sent)
    assert [frame.kind for frame in frames] == [SYN_STREAM, SYN_REPLY, 0, RST_STREAM, PING, 7]
    assert frames[0].headers == {"streamtype": "error", "port": "80"}
    assert (frames[2].data, frames[2].fin) == (b"hi", True)
    assert (frames[3].stream, frames[3].value) == (3, 5)
    assert frames[4].value == 7


@given(st.lists(st.binary(max_size=50), max_size=10), st.integers(1, 40))
def test_pieces_make_no_difference(datas: list[bytes], size: int) -> None:
    sent = b"".join(data_frame(1, data) for data in datas)
    codec = Codec()
    frames: list[Frame] = []
    for start in range(0, len(sent), size):
        frames += codec.feed(sent[start : start + size])
    assert [frame.data for frame in frames] == datas


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02\x00\x01\x00\x00\x00\x0a" + bytes(10),  # version 2
        b"\x80\x03\x00\x01\x00\x00\x00\x05" + bytes(5),  # too short
        b"\x80\x03\x00\x01\x00\x00\x00\x0e" + bytes(14),  # no zlib
        b"\x80\x03\x00\x01\x00\xff\xff\xff",  # too long
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + bytes(2**21),
    ],
)
def test_what_is_no_spdy_is_refused(data: bytes) -> None:
    with pytest.raises(SpdyError):
        Codec().feed(data)


def test_a_header_block_that_unpacks_to_too_much_is_refused() -> None:
    codec = Codec()
    bomb = codec.open(1, {"a": "x" * 1_000_000})
    with pytest.raises(SpdyError, match="too long"):
        Codec().feed(bomb)
