"""``/etc/os-release``: which Linux an image was made on. What its fields mean is in the manual page of that name."""

from __future__ import annotations

DEBIAN, ALPINE = ("12", "bookworm"), "3.22.0"  # what other images are made on
_LONG_TERM = {  # Ubuntu's names in full, of those that are supported for years
    "trusty": "Trusty Tahr",
    "xenial": "Xenial Xerus",
    "bionic": "Bionic Beaver",
    "focal": "Focal Fossa",
    "jammy": "Jammy Jellyfish",
    "noble": "Noble Numbat",
}


def debian(version: str, codename: str) -> dict[str, bytes]:
    """The files of a Debian of that version (``12``, ``bookworm``)."""
    return _files(
        PRETTY_NAME=f'"Debian GNU/Linux {version} ({codename})"',
        NAME='"Debian GNU/Linux"',
        VERSION_ID=f'"{version}"',
        VERSION=f'"{version} ({codename})"',
        VERSION_CODENAME=codename,
        ID="debian",
        HOME_URL='"https://www.debian.org/"',
        SUPPORT_URL='"https://www.debian.org/support"',
        BUG_REPORT_URL='"https://bugs.debian.org/"',
    )


def ubuntu(version: str, codename: str) -> dict[str, bytes]:
    """The files of an Ubuntu of that version (``24.04``, ``noble``)."""
    return _files(
        PRETTY_NAME=f'"Ubuntu {version} LTS"',
        NAME='"Ubuntu"',
        VERSION_ID=f'"{version}"',
        VERSION=f'"{version} LTS ({_LONG_TERM[codename]})"',
        VERSION_CODENAME=codename,
        ID="ubuntu",
        ID_LIKE="debian",
        HOME_URL='"https://www.ubuntu.com/"',
        SUPPORT_URL='"https://help.ubuntu.com/"',
        BUG_REPORT_URL='"https://bugs.launchpad.net/ubuntu/"',
        UBUNTU_CODENAME=codename,
    )


def alpine(version: str) -> dict[str, bytes]:
    """The files of an Alpine of that version (``3.20.3``)."""
    return {"/etc/alpine-release": f"{version}\n".encode()} | _files(
        NAME='"Alpine Linux"',
        ID="alpine",
        VERSION_ID=version,
        PRETTY_NAME=f'"Alpine Linux v{version.rpartition(".")[0]}"',
        HOME_URL='"https://alpinelinux.org/"',
        BUG_REPORT_URL='"https://gitlab.alpinelinux.org/alpine/aports/-/issues"',
    )


def _files(**fields: str) -> dict[str, bytes]:
    return {"/etc/os-release": "".join(f"{name}={value}\n" for name, value in fields.items()).encode()}
