"""Words checked against dockerd."""

import pytest

from labkit.embedded import gojson


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "unexpected EOF"),
        ('{"a"', "unexpected EOF"),
        ("xyz", "invalid character 'x' looking for beginning of value"),
        ("{x", "invalid character 'x' looking for beginning of object key string"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        ("[1 2]", "invalid character '2' after array element"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ("tru3", "invalid character '3' in literal true (expecting 'e')"),
        ("-x", "invalid character 'x' in numeric literal"),
        ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ("1ex", "invalid character 'x' in exponent of numeric literal"),
        ('"a\n"', "invalid character '\\n' in string literal"),
        ('"\\x"', "invalid character 'x' in string escape code"),
        ('"\\u00g0"', "invalid character 'g' in \\u hexadecimal character escape"),
        ("{} {}", "invalid character '{' after top-level value"),
        ("01", "invalid character '1' after top-level value"),
    ],
)
def test_says_what_go_says(text: str, words: str) -> None:
    with pytest.raises(gojson.JsonError) as caught:
        gojson.decode(text.encode())
    assert str(caught.value) == words


def test_what_is_no_text_is_named_by_its_byte() -> None:
    # What a real API server says of a list's continue=nonsense, which is base64 of these.
    assert gojson.explain(b"\x9e\x89\xec") == r"invalid character '\u009e' looking for beginning of value"
    assert gojson.explain(b"\xc3") == "invalid character 'Ã' looking for beginning of value"
    assert gojson.explain(b"\x07") == r"invalid character '\a' looking for beginning of value"


@pytest.mark.parametrize("text", ["{}", "[]", "null", "1.5e3", '{"a":[true,false,null,"x\\u00e9"]}', " [ 1 , 2 ] "])
def test_finds_nothing_wrong_with_json(text: str) -> None:
    assert gojson.explain(text.encode()) == ""


def test_the_beginning_of_a_long_body_is_no_mistake() -> None:
    assert gojson.explain(b'{"a":"xxxx', whole=False) == ""
    assert gojson.explain(b"xxxxxxxx", whole=False) == "invalid character 'x' looking for beginning of value"


def test_deep_nesting_ends_in_words_and_not_in_a_crash() -> None:
    with pytest.raises(gojson.JsonError):
        gojson.decode(b"[" * 100_000)
