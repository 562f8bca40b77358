from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.embedded.kubernetes.quantity import (
    ZERO,
    Quantity,
    QuantityError,
    canonical,
    compare,
    is_zero,
    parse,
    same,
)

POWERS = {
    "n": Fraction(10) ** -9,
    "u": Fraction(10) ** -6,
    "m": Fraction(10) ** -3,
    "": Fraction(1),
    **{name: Fraction(1000) ** power for power, name in enumerate(("k", "M", "G", "T"), 1)},
    **{name: Fraction(1024) ** power for power, name in enumerate(("Ki", "Mi", "Gi", "Ti"), 1)},
}
SUFFIXES = st.sampled_from([*POWERS, "e3", "e-2", "E6"])
TEXTS = st.builds(
    lambda sign, whole, fraction, suffix: f"{sign}{whole}{fraction}{suffix}",
    st.sampled_from(["", "-", "+"]),
    st.integers(0, 99999),
    st.one_of(st.just(""), st.integers(0, 9999).map(lambda digits: f".{digits}")),
    SUFFIXES,
)


def amount(text: str) -> Fraction:
    """What a quantity means, worked out the plain way."""
    for suffix in sorted(POWERS, key=len, reverse=True):
        number = text.removesuffix(suffix) if suffix else text
        if number != text or not suffix:
            try:
                return Fraction(number) * POWERS[suffix]
            except ValueError:
                continue
    raise AssertionError(text)


# From k8s.io/apimachinery's own table of cases, and what kind's API server gave back.
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("0m", "0"),
        ("0Ki", "0"),
        ("100m", "100m"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("1.", "1"),
        ("1.10", "1100m"),
        ("0.001", "1m"),
        ("0.0001", "100u"),
        ("1e3", "1e3"),
        ("1E3", "1e3"),
        ("100e-2", "1"),
        ("12e-1", "1200e-3"),
        ("10000", "10k"),
        ("10001", "10001"),
        ("1000k", "1M"),
        ("1024Ki", "1Mi"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("1000Ki", "1000Ki"),
        ("0.1Gi", "107374182400m"),
        ("1Mi", "1Mi"),
        ("1048576", "1048576"),
        ("128974848", "128974848"),
        ("129e6", "129e6"),
        ("-1Ki", "-1Ki"),
        ("-100m", "-100m"),
        ("0.0000000001", "1n"),
        ("-0.0000000001", "-1n"),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", "9223372036854775807"),
        ("1e30", "9223372036854775807"),
        ("1e-30", "1e-9"),
        ("8Ei", "9223372036854775807"),
        (" 5 ", "5"),
        (5, "5"),
        (0.5, "500m"),
    ],
)
def test_the_canonical_form(text: str | int | float, shown: str) -> None:
    assert canonical(text) == shown


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "quantities must match the regular expression"),
        ("abc", "quantities must match the regular expression"),
        ("1x", "quantities must match the regular expression"),
        ("1.2.3", "quantities must match the regular expression"),
        ("1 Gi", "quantities must match the regular expression"),
        ("--1", "unable to parse quantity's suffix"),
        ("1ki", "unable to parse quantity's suffix"),
        ("1mm", "unable to parse quantity's suffix"),
        ("1e", "unable to parse quantity's suffix"),
        ("1Ke3", "unable to parse quantity's suffix"),
        ("m", "unable to parse numeric part of quantity"),
        (".", "unable to parse numeric part of quantity"),
        ("1" * 2000, "quantities must match the regular expression"),
    ],
)
def test_what_is_none(text: str, words: str) -> None:
    with pytest.raises(QuantityError) as caught:
        parse(text)
    assert str(caught.value).startswith(words)


def test_amounts() -> None:
    assert (parse("1.5Gi").value, parse("100m").value, parse("2").value) == (1610612736, 1, 2)
    assert (parse("100m").milli, parse("2").milli, parse("1u").milli) == (100, 2000, 1)
    assert str(parse("1Gi") + parse("512Mi")) == "1536Mi"
    assert str(parse("1") - parse("100m")) == "900m"
    assert str(ZERO + parse("1Gi")) == "1Gi"
    assert parse("1") < parse("1001m") <= parse("1.001")
    assert sorted([parse("1Gi"), parse("1"), parse("1G")]) == [parse("1"), parse("1G"), parse("1Gi")]
    assert same("1", "1000m")
    assert not same("1G", "1Gi")
    assert is_zero("0Mi")
    assert (compare("1", "2"), compare("2", "2000m"), compare("1Gi", "1G")) == (-1, 0, 1)


@given(TEXTS)
def test_the_canonical_form_means_the_same_and_stays(text: str) -> None:
    quantity = parse(text)
    shown = str(quantity)
    assert parse(shown).nanos == quantity.nanos
    assert canonical(shown) == shown


@given(TEXTS.filter(lambda text: "e" not in text and "E" not in text.replace("Ei", "")))
def test_it_means_what_it_says(text: str) -> None:
    meant = amount(text)
    found = Fraction(parse(text).nanos, 10**9)
    # What is finer than a billionth goes away from zero.
    assert abs(found) - abs(meant) < Fraction(1, 10**9)
    assert abs(found) >= abs(meant)
    assert found == 0 or (found < 0) == (meant < 0)


@given(TEXTS, TEXTS)
def test_order_and_sums_are_those_of_the_amounts(one: str, other: str) -> None:
    a, b = parse(one), parse(other)
    assert (a < b) == (a.nanos < b.nanos)
    assert (a + b).nanos == (b + a).nanos == a.nanos + b.nanos
    assert (a + b - b).nanos == a.nanos


@given(st.text(max_size=12))
def test_any_text_is_a_quantity_or_refused(text: str) -> None:
    try:
        assert isinstance(parse(text), Quantity)
    except QuantityError:
        pass
