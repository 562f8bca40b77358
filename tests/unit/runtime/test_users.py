"""Who a process runs as."""

from __future__ import annotations

import pytest

from labkit.embedded.runtime.files import Files
from labkit.embedded.runtime.users import Identity, UnknownUser, group_name, identify, user_name

from .conftest import Box

PASSWD = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000:Ann:/home/ann:/bin/sh\nbroken:x:y\n"
GROUP = "root:x:0:\nann:x:1000:\nwheel:x:10:root,ann\n"


@pytest.fixture
def files() -> Files:
    made = Files()
    made.write("/etc/passwd", PASSWD.encode())
    made.write("/etc/group", GROUP.encode())
    return made


@pytest.mark.parametrize(
    ("user", "who"),
    [
        ("", Identity(0, 0, (10,), "/root")),
        ("root", Identity(0, 0, (10,), "/root")),
        ("ann", Identity(1000, 1000, (10,), "/home/ann")),
        ("1000", Identity(1000, 1000, (10,), "/home/ann")),
        ("ann:wheel", Identity(1000, 10, (), "/home/ann")),
        ("1234", Identity(1234, 0, (), "/")),
        ("1234:5678", Identity(1234, 5678, (), "/")),
    ],
)
def test_users_are_found_as_docker_finds_them(files: Files, user: str, who: Identity) -> None:
    assert identify(user, files) == who


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("my_user", "unable to find user my_user: no matching entries in passwd file"),
        ("broken", "unable to find user broken: no matching entries in passwd file"),
        ("ann:nobody", "unable to find group nobody: no matching entries in group file"),
    ],
)
def test_unknown_ones_in_the_engines_words(files: Files, user: str, words: str) -> None:
    with pytest.raises(UnknownUser) as caught:
        identify(user, files)
    assert str(caught.value) == words


def test_names(files: Files) -> None:
    assert [user_name(1000, files), user_name(5, files)] == ["ann", ""]
    assert [group_name(10, files), group_name(5, files)] == ["wheel", ""]


async def test_programs_say_who_they_are(box: Box) -> None:
    ask = "id; whoami; id -u; id -gn"
    assert (await box.sh(ask))[1] == "uid=0(root) gid=0(root) groups=0(root)\nroot\n0\nroot\n"
    assert (await box.sh(ask, user="nobody"))[1].startswith("uid=65534(nobody) gid=65534(nobody) groups=65534(nobody)")
    assert (await box.sh("id; whoami", user="1234:5678"))[1] == (
        "uid=1234 gid=5678 groups=5678\nwhoami: unknown uid 1234\n"
    )
    with pytest.raises(UnknownUser):
        await box.run("alpine", ["true"], user="my_user")


async def test_home_is_that_of_the_user(box: Box) -> None:
    process = await box.run("alpine", ["sleep", "100"])
    child = await process.exec(["sh", "-c", "exit"], user="bin")
    assert child.env["HOME"] == "/bin"
    assert (await process.exec(["true"], {"HOME": "/x"}, user="bin")).env["HOME"] == "/x"
