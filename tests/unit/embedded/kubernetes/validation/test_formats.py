"""Forms of names."""

from __future__ import annotations

import ipaddress

import pytest

from labkit.embedded.kubernetes.validation import formats
from labkit.embedded.kubernetes.validation.formats import Form

FINE: list[tuple[Form, str]] = [
    (formats.dns_label, "a-1"), (formats.dns_label, "0"), (formats.dns_label, "a" * 63),
    (formats.dns_subdomain, "a.b-c.d"), (formats.dns_subdomain, "a" * 253),
    (formats.qualified_name, "app"), (formats.qualified_name, "Example_1.x"), (formats.qualified_name, "a.b/c"),
    (formats.label_value, ""), (formats.label_value, "A_b.c-1"),
    (formats.config_key, ".x_y-Z"), (formats.config_key, "..."[:1] + "a"),
    (formats.env_name, "A B"), (formats.env_name, "1"),
    (formats.port_name, "http-1"), (formats.percent, "25%"), (formats.header_name, "X-A"),
    (formats.ip, "127.0.0.1"), (formats.ip, "::1"), (formats.cidr, "10.0.0.0/8"),
]  # fmt: skip

COMPLAINTS: list[tuple[Form, str, str]] = [
    (formats.dns_label, "a.b", "must not contain dots"),
    (formats.dns_label, "a" * 64, "must be no more than 63 characters"),
    (
        formats.dns_label,
        "A",
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
        "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
    ),
    (
        formats.dns_subdomain,
        "-",
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
        "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
        r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
    ),
    (
        formats.qualified_name,
        "a b",
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
        "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
        "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
    ),
    (
        formats.qualified_name,
        "a/b/c",
        "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
        "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
        "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' "
        "(e.g. 'example.com/MyName')",
    ),
    (formats.qualified_name, "/a", "prefix part must be non-empty"),
    (formats.qualified_name, "a" * 64, "name part must be no more than 63 bytes"),
    (formats.label_value, "a" * 64, "must be no more than 63 bytes"),
    (formats.config_key, "..", "must not be '..'"),
    (formats.config_key, "..a", "must not start with '..'"),
    (
        formats.env_name,
        "A=B",
        "a valid environment variable name must consist only of printable ASCII characters other than '='",
    ),
    (formats.port_name, "a--b", "must not contain consecutive hyphens"),
    (formats.port_name, "80", "must contain at least one letter (a-z)"),
    (formats.port_name, "a" * 16, "must be no more than 15 characters"),
    (formats.port_name, "a-", "must not begin or end with a hyphen"),
    (formats.ip, "x", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
    (formats.ip, "010.0.0.1", "must not have leading 0s"),
    (formats.ip, "::ffff:1.2.3.4", "must not be an IPv4-mapped IPv6 address"),
    (formats.cidr, "10.0.0.1/8", "must not have bits set beyond the prefix length"),
    (formats.cidr, "10.0.0.1", "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"),
    (
        formats.percent,
        "5",
        "a valid percent string must be a numeric string followed by an ending '%' "
        "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
    ),
    (formats.path_segment, "a/b", "may not contain '/'"),
    (formats.path_segment, "..", "may not be '..'"),
]


@pytest.mark.parametrize(("form", "value"), FINE)
def test_what_has_its_form(form: Form, value: str) -> None:
    assert form(value) == ()


@pytest.mark.parametrize(("form", "value", "words"), COMPLAINTS)
def test_what_is_said_of_what_has_not(form: Form, value: str, words: str) -> None:
    assert words in form(value)


def test_a_line_break_at_the_end_is_no_part_of_a_name() -> None:
    assert formats.dns_label("a\n")
    assert formats.qualified_name("a\n")


def test_a_prefix_may_end_in_a_dash() -> None:
    assert formats.prefixed(formats.dns_subdomain, "web-") == ()
    assert formats.prefixed(formats.dns_subdomain, "Web-")


def test_an_ipv4_address_is_what_the_library_says() -> None:
    octets = [str(number) for number in range(301)] + ["", "00", "01", "1 ", "+1", "١", "1\n"]
    for text in [f"10.{octet}.0.{octet}" for octet in octets] + ["1.2.3", "1.2.3.4.5", "1.2.3.4\n"]:
        try:
            ipaddress.IPv4Address(text)
        except ValueError:
            assert formats.ip(text), text
        else:
            assert formats.ip(text) == (), text
