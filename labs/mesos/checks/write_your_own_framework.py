"""The steps of labs/mesos/14-write-your-own-framework: a scheduler of some seventy lines of Python."""

from __future__ import annotations

from labkit.guide import Ask, Hint, Lab, Prediction, Recap, Step

from .own_framework_steps import (
    AGAIN,
    ALL,
    ENDS,
    LOST,
    MOVES,
    NONE,
    RUNS_ON,
    SILENCE,
    SOON,
    START,
    UNKNOWN,
    WAIT,
    acknowledge,
    acknowledged,
    ask_for_ghost,
    boxed,
    come_back,
    deaf,
    decline_politely,
    declined,
    deploy_polite,
    end_all,
    fate_of_box,
    fate_of_polite,
    gone,
    hoarded,
    keep_three,
    kept,
    kill_box,
    killed,
    launch_box,
    launch_hello,
    launched,
    leave,
    left,
    listen_to_silence,
    reconciled,
    reset,
    returned,
    set_up,
    stream_known,
    subscribe_by_hand,
    subscribed,
    try_wrong_stream,
)

LAB = Lab(
    id="mesos/14-write-your-own-framework",
    title="Write your own framework",
    goal="Write a scheduler from nothing, call by call, and watch it take its place in the picture.",
    minutes=45,
    orchestrator="marathon",
    setup=set_up,
    reset=reset,
    steps=(
        Step(
            id="subscribe",
            title="Subscribe",
            task="Run the cells above. A third card with a cogwheel appears in the dashboard.",
            check=subscribed,
            solution=subscribe_by_hand,
            why="One POST, whose answer does not end: over it the master sends *events*, for as long as the framework "
            "lives. `Mesos-Stream-Id` is the name of this connection, and every further call has to say it.",
        ),
        Step(
            id="hoard",
            title="Break it: hoard",
            needs=("subscribe",),
            task="The master has offered you something already, and you have not answered. Now start an app in "
            "Marathon:\n\n"
            "```python\n"
            'marathon.actions.deploy("polite", "busybox:1.36", 2, cmd="sleep 100000")\n'
            "```",
            prediction=Prediction(
                "The cluster is nearly empty. What becomes of the two tasks of `/polite`?",
                (START, WAIT, SOON),
                fate_of_polite,
            ),
            check=hoarded,
            solution=deploy_polite,
            hints=(Hint("`marathon.why('polite')` says what Marathon knows of it."),),
            why="What is offered to one is offered to nobody else, and an offer has no end of its own (an operator "
            "may set one: `--offer_timeout`). A framework that only forgets to say *no* stops the whole cluster. "
            "That is the most frequent mistake in home-made schedulers, and nobody sees it in *your* logs.",
        ),
        Step(
            id="decline",
            title="Decline politely",
            needs=("hoard",),
            task="Write a function that declines an OFFERS event, make it the handler of `OFFERS`, and hand it those "
            "events that came before:\n\n"
            "```python\n"
            "def decline(event):\n"
            '    ids = …  # of all offers in event["offers"]["offers"]\n'
            '    call("DECLINE", decline={"offer_ids": ids, "filters": {"refuse_seconds": 5}})\n'
            "\n"
            'handlers["OFFERS"] = decline\n'
            "for event in list(heard): …\n"
            "```",
            check=declined,
            solution=decline_politely,
            hints=(
                Hint('`[offer["id"] for offer in event["offers"]["offers"]]`'),
                Hint("Only events whose `type` is OFFERS have offers in them; `heard` has heartbeats, too."),
            ),
            why="`refuse_seconds` is the polite part: how long the master need not ask again (5 seconds if you do not "
            "say). A framework with nothing to do for hours says SUPPRESS, and REVIVE when it wants offers again; "
            "batch does so in lab 13.",
        ),
        Step(
            id="launch",
            title="Launch",
            needs=("decline",),
            task="With the cell above, wanting is enough. Launch a command; call it `hello`:\n\n"
            "```python\n"
            'wanted["hello"] = {"command": {"value": "echo hello from $(hostname); sleep 3"}}\n'
            "```",
            check=launched,
            solution=launch_hello,
            hints=(
                Hint("Does the handler run? `handlers` shows which ones there are, `heard[-3:]` the last events."),
                Hint("The master refuses what it does not understand, and says why in an UPDATE: `told('hello')`."),
            ),
            why="ACCEPT takes offers and says what to do with them; what the tasks do not use goes back. The answer "
            "is **202**: *accepted*, not *done*. What becomes of it comes as an event.",
        ),
        Step(
            id="deaf",
            title="Break it: do not acknowledge",
            needs=("launch",),
            task="`hello` takes three seconds. Wait ten more, and see what you have been told of it, by `told()`.",
            check=deaf,
            solution=listen_to_silence,
            ask=Ask("`hello` has long ended. What have you heard?", (AGAIN, ALL, NONE)),
            hints=(Hint("The agent tries again after 10 seconds, 20, 40… up to ten minutes."),),
            why="The agent sends a task's updates one at a time, each until it is **acknowledged**, and only then the "
            "next. That is how no update is ever lost: not when your scheduler crashes, not when the master changes. "
            "And that is why one that never acknowledges never learns the end.",
            patience=30,
        ),
        Step(
            id="acknowledge",
            title="Acknowledge",
            needs=("deaf",),
            task="The cell above defines `on_update`. Make it the handler of `UPDATE`, and hand it the updates in "
            "`heard` that nobody has answered.",
            check=acknowledged,
            solution=acknowledge,
            hints=(
                Hint('`handlers["UPDATE"] = on_update` is for what comes from now on.'),
                Hint(
                    'For what has come: `for event in list(heard): …` those with `event["type"] == "UPDATE"`. '
                    "Without that, wait: the agent will try again."
                ),
            ),
            why="One acknowledgement, and the rest came at once. Only now has the master put the task away under "
            "`completed_tasks`. (Updates without a `uuid` come from the master itself and want no answer.)",
        ),
        Step(
            id="image",
            title="An image",
            needs=("acknowledge",),
            task="A task may be a container as well. Launch one that stays, called `box`:\n\n"
            "```python\n"
            'wanted["box"] = {\n'
            '    "command": {"value": "sleep 100000"},\n'
            '    "container": {"type": "DOCKER", "docker": {"image": "busybox:1.36"}},\n'
            "}\n"
            "```",
            check=boxed,
            solution=launch_box,
            why="Nothing else changes. The agent finds out how to run it; to the scheduler a task is a task.",
            patience=90,
        ),
        Step(
            id="stream-id",
            title="Break it: the wrong stream",
            needs=("image",),
            task="Make a call under another `Mesos-Stream-Id`:\n\n"
            "```python\n"
            'body = {"type": "REVIVE", "framework_id": me["id"]}\n'
            'answer = session.post(api, json=body, headers={"Mesos-Stream-Id": "somebody-else"})\n'
            "answer.status_code, answer.text\n"
            "```",
            check=stream_known,
            solution=try_wrong_stream,
            ask=Ask("Which HTTP status does the master answer?"),
            why="Suppose that your scheduler hangs, and another one takes its place. The old one wakes up and goes on "
            "where it was: it would accept offers that are not its own any more. By the stream id the master knows "
            "that this is a voice from the past.",
        ),
        Step(
            id="gone",
            title="Your scheduler dies",
            needs=("stream-id",),
            task="Hang up, as a crash would: `hang_up()`.",
            prediction=Prediction("What becomes of `box`?", (RUNS_ON, ENDS, MOVES), fate_of_box),
            check=left,
            solution=leave,
            why="You asked for an hour: `failover_timeout`. Without that line it is **0**, and all tasks end with the "
            "first crash of their scheduler. The default has surprised many.",
        ),
        Step(
            id="back",
            title="Failover",
            needs=("gone",),
            task="Come back: `connect()`. This time `me` has an `id` in it. (A real scheduler writes its id to disk, "
            "or to ZooKeeper as Marathon does, *before* it launches anything.)",
            check=returned,
            solution=come_back,
            hints=(Hint('`me["id"]` must be what the first SUBSCRIBED event said.'),),
            why="The same id, so it is the same framework, and its tasks are its own. The stream id is a new one.",
        ),
        Step(
            id="reconcile",
            title="What did I miss?",
            needs=("back",),
            task="A scheduler that comes back has missed things. It asks: RECONCILE with no tasks means *all that you "
            "know of*; with tasks, *these*. Ask after `box`, and after a task that never was:\n\n"
            "```python\n"
            'tasks = [{"task_id": {"value": name}} for name in ("box", "ghost")]\n'
            'call("RECONCILE", reconcile={"tasks": tasks})\n'
            "```\n\n"
            "Then `told('box')` and `told('ghost')`.",
            check=reconciled,
            solution=ask_for_ghost,
            ask=Ask("What does the master say of `ghost`?", (LOST, UNKNOWN, SILENCE)),
            hints=(Hint("The answers are UPDATE events. They take a moment."),),
            why="That is as good as an answer can be: whatever your books say, there is no such task, so launch "
            "another one. (With the capability PARTITION_AWARE you would be told more exactly: TASK_UNKNOWN, "
            "TASK_UNREACHABLE, TASK_GONE.)",
        ),
        Step(
            id="kill",
            title="Kill",
            needs=("reconcile",),
            task='End `box`: `call("KILL", kill={"task_id": {"value": "box"}})`',
            check=killed,
            solution=kill_box,
            why="First SIGTERM, after some seconds SIGKILL, then TASK_KILLED: an update like any other, which "
            "`on_update` has acknowledged.",
        ),
        Step(
            id="keep",
            title="Keep three running",
            needs=("kill",),
            task="Now make it a scheduler. Tasks called `keep-1`, `keep-2`… each run `sleep 10`; **three of them are "
            "to run at all times**. When one ends, want another, under a new id.",
            check=kept,
            solution=keep_three,
            hints=(
                Hint("Three are wanted at the start; then one more for each UPDATE that says that a `keep-…` is over."),
                Hint("`itertools.count(1)` never gives the same number twice."),
                Hint("A handler that calls `on_update(event)` first, then looks at the state, is all it takes."),
            ),
            why="That is Marathon, in ten lines: a wish, and a loop that compares it with what is. What Marathon has "
            "beyond that are the things you have just met: it writes down, reconciles, backs off when a task fails "
            "over and over, and suppresses when it wants nothing.",
            patience=120,
        ),
        Step(
            id="clean-up",
            title="Clean up",
            needs=("keep",),
            task='Leave for good: `call("TEARDOWN")`. And `marathon.client.delete("/polite")`.',
            check=gone,
            solution=end_all,
            why="TEARDOWN ends the framework and every task of it. Hanging up alone would have left three processes "
            "for an hour. (Should a handler say *Framework cannot be found*: it was just acknowledging something, and "
            "is right.)",
        ),
    ),
    recap=(
        Recap(
            "Your framework has nothing to do until tomorrow. The best thing to say is…",
            ("nothing", "DECLINE with `refuse_seconds` 5, again and again", "SUPPRESS, and REVIVE tomorrow"),
            2,
            "Silence hoards; declining every five seconds works, and keeps the master and you talking all night.",
        ),
        Recap(
            "The master has answered 202 to your ACCEPT. The task…",
            ("runs", "may run; an UPDATE will tell", "waits for your acknowledgement"),
            1,
            "The offer may have been rescinded, the agent may be gone. Only updates and reconciliation tell.",
        ),
        Recap(
            "Your scheduler crashes right after ACCEPT and comes back under its old id. How does it learn of the task?",
            (
                "It does not: the task is lost",
                "By the update that the agent repeats, and by asking (RECONCILE)",
                "From the SUBSCRIBED event",
            ),
            1,
            "Nobody acknowledged the first update, so it is sent again; and reconciliation covers what was never sent.",
        ),
    ),
    shows={
        "a framework subscribes, and answers offers with tasks": "launch",
        "an update is repeated until it is acknowledged": "deaf",
        "tasks outlive their scheduler": "gone",
    },
)
