"""How processes live and die: exit codes, signals, grace, freezing, memory, exec, terminals."""

from __future__ import annotations

import asyncio
import gc

import pytest

from labkit.embedded.runtime.exits import ExecutableNotFound, Exit
from labkit.embedded.runtime.images import Catalogue, Image, Program
from labkit.embedded.runtime.namespaces import Limits
from labkit.embedded.runtime.processes import Process
from labkit.embedded.runtime.signals import NUMBERS, SIGINT, SIGKILL, SIGTERM, InvalidSignal, number
from labkit.embedded.runtime.streams import Pipe

from .conftest import Box, output


class Odd(Image):
    """An image with programs that do what a test needs."""

    name = "test/odd"
    versions = {"1": ("latest",)}  # noqa: RUF012

    def programs(self) -> dict[str, Program]:
        return {"crash": crash, "leave": leave, "stubborn": stubborn, "child": child, "count": count}


async def crash(process: Process) -> int:
    raise ValueError("I am broken")


async def leave(process: Process) -> int:
    raise Exit(7)


async def stubborn(process: Process) -> int:
    while True:
        try:
            await process.sleep(1000)
        except asyncio.CancelledError:
            process.out("I will not die\n")


async def child(process: Process) -> int:
    async def work() -> None:
        await process.sleep(1)
        raise RuntimeError("in the background")

    process.spawn(work())
    return await process.forever()


async def count(process: Process) -> int:
    for tick in range(1000):
        process.out(f"{tick}\n")
        await process.sleep(1)
    return 0


@pytest.fixture
def odd(box: Box) -> Box:
    box.catalogue = Catalogue([Odd])
    return box


async def test_a_program_that_crashes_exits_with_1_and_says_why(odd: Box) -> None:
    process = await odd.run("test/odd", ["crash"])
    assert await process.wait() == 1
    assert output(process, "stderr") == "crash: ValueError: I am broken\n"


async def test_exit_codes(odd: Box) -> None:
    assert await (await odd.run("test/odd", ["leave"])).wait() == 7
    assert (await odd.sh("exit 300"))[0] == 44
    background = await odd.run("test/odd", ["child"])
    assert await odd.until(background.wait()) == 1
    assert "RuntimeError: in the background" in output(background)


async def test_sigkill_ends_even_what_swallows_it_all(odd: Box) -> None:
    process = await odd.run("test/odd", ["stubborn"])
    process.kill(SIGKILL)
    assert await process.wait() == 137
    assert process.pid == 0
    await odd.clock.settle()
    assert output(process) == ""  # nothing can be written after death


@pytest.mark.parametrize(
    ("image", "args", "code", "seconds"),
    [
        ("alpine", ["sleep", "1000"], 137, 10),  # the first process: a signal without a handler is ignored
        ("alpine", ["sh", "-c", "while true; do sleep 1; done"], 137, 10),
        ("alpine", ["sh", "-c", "trap 'echo bye; exit 3' TERM; while true; do sleep 1; done"], 3, 1),
        ("alpine", ["sh", "-c", "trap '' TERM; sleep 1000"], 137, 10),
        ("alpine", ["sh", "-c", "trap 'exit 4' TERM; sleep 1000 & wait"], 4, 0),
        ("alpine", ["sh", "-c", "exec sleep 1000"], 137, 10),
        ("traefik/whoami", None, 2, 0),
        ("nginx", None, 0, 0),
        ("httpd", None, 0, 0),
        ("redis", None, 0, 0),
        ("labkit/hello", None, 0, 0),
    ],
)
async def test_stop_as_each_program_takes_it(
    box: Box, image: str, args: list[str] | None, code: int, seconds: float
) -> None:
    process = await box.run(image, args)
    await box.clock.advance(0.25)
    start = box.clock.time()
    assert await box.until(process.stop(SIGTERM, 10), step=0.25) == code
    assert box.clock.time() - start == pytest.approx(seconds, abs=0.8)
    assert process.finished_at >= start


async def test_stop_signals_of_images(box: Box) -> None:
    for name in ("nginx", "httpd"):
        process = await box.run(name)
        assert await process.stop(number(process.image.stop_signal), 10) == 0


async def test_what_is_not_the_first_process_dies_of_a_signal(box: Box) -> None:
    main = await box.run("alpine", ["sleep", "1000"])
    child = await main.exec(["sleep", "1000"])
    assert child.running
    child.kill(SIGTERM)
    assert await child.wait() == 143
    assert main.running


async def test_the_end_of_the_first_process_ends_all_others_and_closes_ports(box: Box) -> None:
    main = await box.run("traefik/whoami", name="web")
    ip = main.addresses[0]
    alpine = await box.run("alpine", ["sleep", "1000"])
    child = await alpine.exec(["sh", "-c", "sleep 1000 | cat"])
    await box.clock.settle()
    alpine.kill(SIGKILL)
    assert await child.wait() == 137
    assert alpine.ns.table == {}
    assert box.network.real(ip, 80) is not None
    main.kill(SIGKILL)
    assert box.network.real(ip, 80) is None
    assert box.network.where(ip) is None


async def test_a_frozen_container_holds_still_and_goes_on(odd: Box) -> None:
    process = await odd.run("test/odd", ["count"])
    await odd.clock.advance(2.5)
    process.pause()
    assert process.paused
    before = output(process)
    await odd.clock.advance(10)
    assert output(process) == before == "0\n1\n2\n"
    process.resume()
    await odd.clock.advance(0)
    assert output(process) == "0\n1\n2\n3\n"  # the sleep was over long ago


async def test_signals_wait_for_a_frozen_container_except_sigkill(box: Box) -> None:
    web = await box.run("traefik/whoami")
    web.pause()
    web.kill(SIGTERM)
    await box.clock.advance(5)
    assert web.running
    web.resume()
    await box.clock.settle()
    assert web.exit_code == 2
    other = await box.run("traefik/whoami")
    other.pause()
    other.kill(SIGKILL)
    assert await other.wait() == 137


async def test_one_that_is_ended_before_its_first_step_leaves_nothing_behind(
    odd: Box, recwarn: pytest.WarningsRecorder
) -> None:
    """As a container that was frozen when the sandbox's process ended: its program is not even called."""
    odd.fleet.pause("one")
    process = await odd.run("test/odd", ["count"], machine="one")
    await odd.clock.settle()
    process.kill(SIGKILL)
    assert await process.wait() == 137
    await odd.clock.settle()
    gc.collect()
    assert not [str(warning.message) for warning in recwarn]
    assert output(process) == ""


async def test_a_paused_machine_freezes_its_containers(odd: Box) -> None:
    here = await odd.run("test/odd", ["count"], machine="one")
    there = await odd.run("test/odd", ["count"], machine="two")
    odd.fleet.pause("one")
    await odd.clock.advance(3)
    assert output(here) == "0\n"
    assert output(there) == "0\n1\n2\n3\n"
    odd.fleet.heal("one")
    await odd.clock.advance(1)
    assert output(here) == "0\n1\n2\n"


async def test_requests_to_a_frozen_container_wait(box: Box) -> None:
    web = await box.run("traefik/whoami", name="web", machine="two")
    client = await box.run("alpine", ["sleep", "1000"])
    web.pause()
    asked = await client.exec(["wget", "-q", "-T", "3", "-O-", "http://web"])
    assert await box.until(asked.wait()) == 1
    assert output(asked) == "wget: download timed out\n"
    asked = await client.exec(["wget", "-q", "-O-", "http://web"])
    await box.clock.advance(10)
    assert asked.running
    web.resume()
    assert await box.until(asked.wait()) == 0
    assert "Hostname: web" in output(asked)


async def test_too_much_memory_brings_the_oom_killer(box: Box) -> None:
    hog = await box.run("labkit/memory-hog", limits=Limits(memory=64 * 1024 * 1024))
    assert await box.until(hog.wait()) == 137
    assert hog.oom
    assert "using 48 MiB" in output(hog)


async def test_a_hog_beside_the_first_process_dies_alone(box: Box) -> None:
    main = await box.run("labkit/memory-hog", ["sleep", "1000"], limits=Limits(memory=64 * 1024 * 1024))
    hog = await main.exec(["/memory-hog"])
    assert await box.until(hog.wait()) == 137
    assert main.running
    assert main.oom


@pytest.mark.parametrize(
    ("args", "words", "code"),
    [
        (["foo"], 'exec: "foo": executable file not found in $PATH', 127),
        (["/bin/foo"], 'exec: "/bin/foo": stat /bin/foo: no such file or directory', 127),
        (["/etc"], 'exec: "/etc": is a directory', 126),
        (["bash", "-c", "x"], 'exec: "bash": executable file not found in $PATH', 127),
    ],
)
async def test_a_program_that_the_image_lacks(box: Box, args: list[str], words: str, code: int) -> None:
    with pytest.raises(ExecutableNotFound) as caught:
        await box.run("alpine", args)
    assert str(caught.value) == words
    assert caught.value.exit_code == code


async def test_files_addresses_and_environment_are_shared_with_exec(box: Box) -> None:
    main = await box.run("alpine", ["sleep", "1000"], name="main", env={"COLOUR": "blue"}, workdir="/tmp")
    assert await box.within(main, "echo hi > note; pwd") == (0, "/tmp\n")
    assert await box.within(main, "cat /tmp/note; echo $COLOUR; hostname; hostname -i") == (
        0,
        f"hi\nblue\nmain\n{main.addresses[0]}\n",
    )
    child = await main.exec(["env"], {"COLOUR": "red"})
    assert await child.wait() == 0
    assert "COLOUR=red" in output(child)


async def test_standard_input_reaches_the_program(box: Box) -> None:
    main = await box.run("alpine", ["sleep", "1000"])
    pipe = Pipe()
    child = await main.exec(["sh", "-c", "read a; echo got $a; cat"], stdin=pipe)
    pipe.feed(b"one\ntwo\nthree")
    pipe.feed_eof()
    assert await box.until(child.wait()) == 0
    assert output(child) == "got one\ntwo\nthree"


async def test_a_shell_on_a_terminal(box: Box) -> None:
    pipe, chunks = Pipe(), list[bytes]()
    shell = await box.run("alpine", ["sh"], stdin=pipe, tty=True)
    shell.log.tap(lambda stream, data: chunks.append(data))
    for typed in (
        b"echo hx\x7fi\r",
        b"sleep 1000\r",
        b"\x03",
        b"echo $?\r",
        b"for i in a b\r",
        b"do echo $i\r",
        b"done\r",
    ):
        pipe.feed(typed)
        await box.clock.settle()
    pipe.feed(b"\x1b[A\x1b[A\x1b[A\x1b[A\r\x04")
    assert await box.until(shell.wait()) == 0
    seen = b"".join(chunks).decode()
    assert "echo hx\b \bi\r\nhi\r\n" in seen
    assert "^C\r\n" in seen
    assert "echo $?\r\n130\r\n" in seen
    assert "> > " not in seen.split("for i")[0]
    assert "a\r\nb\r\n" in seen
    assert seen.count("echo $?") == 2  # the second one from the history


async def test_ctrl_c_on_a_first_process_that_does_not_care(box: Box) -> None:
    pipe = Pipe()
    sleeper = await box.run("alpine", ["sleep", "1000"], stdin=pipe, tty=True)
    pipe.feed(b"\x03")
    await box.clock.settle()
    assert sleeper.running
    sleeper.kill(SIGINT)
    assert sleeper.running


async def test_the_number_of_processes_is_limited(box: Box) -> None:
    main = await box.run("alpine", ["sleep", "1000"], limits=Limits(pids=4))
    code, said = await box.within(main, "sleep 1000 & sleep 1000 & sleep 1000 & echo no")
    assert code == 2
    assert "can't fork: Resource temporarily unavailable" in said


async def test_processor_time_and_memory_are_told(box: Box) -> None:
    web = await box.run("nginx")
    await box.clock.advance(1000)
    assert web.cpu_seconds == pytest.approx(1000 * web.image.idle_cpu)
    assert web.memory == web.image.memory
    assert web.ns.memory == web.image.memory
    web.kill(SIGKILL)
    assert web.memory == 0


@pytest.mark.parametrize(("given", "meant"), [("SIGTERM", 15), ("term", 15), ("9", 9), (3, 3), ("SIGWINCH", 28)])
def test_signals_by_name_and_number(given: str | int, meant: int) -> None:
    assert number(given) == meant
    assert NUMBERS["USR1"] == 10


@pytest.mark.parametrize("given", ["FOO", "0", "65", "", "SIG"])
def test_what_is_no_signal(given: str) -> None:
    with pytest.raises(InvalidSignal, match="invalid signal"):
        number(given)


async def test_waiting_does_not_tie_the_waiter_to_the_process(box: Box) -> None:
    web = await box.run("traefik/whoami")
    waiter = asyncio.create_task(web.wait())
    await box.clock.settle()
    waiter.cancel()
    await box.clock.settle()
    assert web.running
    assert await box.until(web.stop()) == 2
