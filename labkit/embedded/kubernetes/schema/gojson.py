"""What ``encoding/json`` says of text that is no JSON.

The quick parser knows where it stumbled; Go's words tell at what, and what was expected there.
"""

from __future__ import annotations

import orjson


def complaint(text: bytes) -> str:
    """Why the text is no JSON, as Go words it; "" if it is."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return syntax(text, error.pos)
    return ""


def syntax(body: bytes, place: int) -> str:
    """Go's words for what is no JSON. orjson tells characters, Go looks at bytes; for ASCII it is the same."""
    text = body.decode(errors="replace")
    if place >= len(text.rstrip()):
        return "unexpected end of JSON input"
    char = text[place]
    shown = "'\\''" if char == "'" else f"'{char}'"
    before = text[:place].rstrip()
    if not before:
        where = "looking for beginning of value"
    elif before[-1] in "{" or (before[-1] == "," and before.rfind("{") > before.rfind("[")):
        where = "looking for beginning of object key string"
    elif before[-1] in "[,:":
        where = "looking for beginning of value"
    elif before.rfind("{") > before.rfind("["):
        where = "after object key:value pair"
    elif "[" in before:
        where = "after array element"
    else:
        where = "after top-level value"
    return f"invalid character {shown} {where}"
