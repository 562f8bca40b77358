"""The steps of labs/mesos/13-frameworks-side-by-side: two schedulers on one Mesos, and who gets what."""

from __future__ import annotations

from labkit.guide import Ask, Hint, Lab, Prediction, Recap, Step

from .common import quietly
from .frameworks_sharing import BATCH, EMBEDDED_ONLY, bar, job, room
from .frameworks_side_by_side_steps import (
    ALL_FREE,
    DIE,
    ENDED,
    HALF,
    LATE,
    LIKE_MARATHON,
    MAP,
    MEET,
    NOTHING,
    REFUSED,
    RUN_ON,
    STARTS,
    STAY,
    SWAP,
    TAKEN,
    WAITS,
    batch_joined,
    by_hand,
    calculate,
    come_late,
    deploy_cache,
    fate_of_orphans,
    fate_of_torn,
    fill_up,
    filled,
    heavier,
    how_marathon_got_it,
    levelled,
    make_room,
    no_way_back,
    one_bar,
    orphaned,
    relieved,
    reset,
    set_up,
    start_batch,
    starved,
    stop_batch,
    submit_count,
    taken_up,
    tear_down,
    tidy,
    tidy_up,
    torn_down,
    want_more,
    weigh_one,
    weigh_two,
    what_batch_took,
    what_weight_did,
    where_the_bars_went,
)

LAB = Lab(
    id="mesos/13-frameworks-side-by-side",
    title="Frameworks side by side",
    goal="Put a second framework beside Marathon, see what each gets and why, and find out who starves whom.",
    minutes=40,
    orchestrator="marathon",
    setup=set_up,
    reset=reset,
    steps=(
        Step(
            id="one-bar",
            title="One bar",
            task="Start three big, idle things, which hold much memory and little CPU:\n\n"
            "```python\n"
            'marathon.actions.deploy("cache", "busybox:1.36", 3, cmd="sleep 100000", cpus=0.5, memory=2000)\n'
            "```\n\n"
            "Then work out the **dominant share** of Marathon: of each resource, what its tasks hold, divided by what "
            "all agents have; the larger of the two.",
            check=one_bar,
            solution=deploy_cache,
            ask=Ask("Marathon's dominant share, in percent?"),
            hints=(
                Hint("CPUs: 3 × 0.5 of what the table above sums up to. Memory: 3 × 2000 of the same."),
                Hint("The bar of Marathon in the dashboard says it, too."),
            ),
            why="A framework is compared by the one resource it takes the largest part of: here memory. Half a CPU a "
            "task is little on these machines, two gigabytes are not.",
        ),
        Step(
            id="joins",
            title="Batch joins",
            needs=("one-bar",),
            task="Hand the other framework a job of ten thousand map tasks:\n\n"
            "```python\n"
            'count = {"name": "count", "maps": 10000, "seconds": 12, "spread": 0.5, "cpus": 0.5, "mem": 32}\n'
            'requests.post(f"{BATCH}/jobs", json=count).json()\n'
            "```\n\n"
            "(Twelve seconds each, give or take six: no two pieces of data are alike.)",
            prediction=Prediction(
                "Both frameworks weigh the same. How much will batch take?",
                (ALL_FREE, LIKE_MARATHON, HALF),
                what_batch_took,
            ),
            check=batch_joined,
            solution=submit_count,
            hints=(
                Hint(
                    "`requests.get(f'{BATCH}/jobs').json()` lists the jobs: is it there, and has it tasks that wait?",
                    when=quietly(False)(lambda context: not bar(context, BATCH).tasks),
                ),
            ),
            engines=EMBEDDED_ONLY,
            why="Fairness is no limit. Marathon wants nothing more, so it declines, and all that is free goes to "
            "whoever wants it. Shares matter only where *two* want the same.",
        ),
        Step(
            id="by-hand",
            title="Level, by hand",
            needs=("joins",),
            task="Suppose that both want more than there is. The next task goes to the framework with the smaller "
            "dominant share, again and again, until nothing is left. Where does that end? One task of `/cache` is "
            "0.5 CPU and 2000 MB; one map task is 0.5 CPU and 32 MB.",
            ask=Ask("How many tasks of `/cache` run then?"),
            check=by_hand,
            solution=calculate,
            hints=(
                Hint("How large a part of all is one task of `/cache`, in its dominant resource? And one map task?"),
                Hint("With *x* of the one and *y* of the other: x · 2000 / memory = y · 0.5 / CPUs."),
                Hint("And the CPUs are used up: 0.5 · x + 0.5 · y = CPUs."),
            ),
            engines=EMBEDDED_ONLY,
            why="Nearly two thirds for each: more than a half! That is what comparing *dominant* shares buys. The one "
            "wants memory, the other CPUs, and neither has to pay for what only the other needs.",
        ),
        Step(
            id="level",
            title="Both want more",
            needs=("by-hand",),
            task="Now let Marathon want more than there is: scale `/cache` to 30, and watch the two bars for half a "
            "minute.",
            prediction=Prediction(
                "The CPUs are all taken. How does Marathon come by its part?",
                (WAITS, ENDED, REFUSED),
                how_marathon_got_it,
            ),
            check=levelled,
            solution=want_more,
            hints=(Hint("`marathon.client.scale('/cache', 30)`, or the slider of its card."),),
            engines=EMBEDDED_ONLY,
            why="Each map task that ends leaves half a CPU, and the allocator offers it to whoever has the smaller "
            "share *at that moment*: to Marathon, until the bars meet. One or two tasks off the number that you "
            "worked out is no mistake: offers are whole agents' leftovers, and two of them may be on the way at once.",
            patience=90,
        ),
        Step(
            id="weights",
            title="Weights",
            needs=("level",),
            task="Shares can be bent. A **weight** belongs to a role, and Marathon is in the role `*`:\n\n"
            "```python\n"
            'marathon.client.mesos.send("PUT", "/weights", [{"role": "*", "weight": 2}])\n'
            "```",
            check=heavier,
            solution=weigh_two,
            hints=(Hint("`marathon.client.mesos.roles()` shows which weights are in force."),),
            engines=EMBEDDED_ONLY,
            why="The allocator divides a share by the weight before it compares: with a weight of 2, a framework may "
            "hold twice as much before it is the other one's turn.",
            patience=90,
        ),
        Step(
            id="no-way-back",
            title="And back?",
            needs=("weights",),
            task="Give `*` a weight of 1 again.",
            prediction=Prediction(
                "A minute later: where are the two bars?",
                (MEET, STAY, SWAP),
                where_the_bars_went,
            ),
            check=no_way_back,
            solution=weigh_one,
            hints=(Hint("Nothing more to do; the panel waits until the map tasks of this moment have ended."),),
            engines=EMBEDDED_ONLY,
            why="Every place that a map task leaves goes to batch again: its share is the smaller one. But only what "
            "becomes **free** is shared out. Tasks of `/cache` never end, so what Marathon got while it weighed more, "
            "it keeps. *The allocator gives; it takes nothing back.*",
            patience=90,
        ),
        Step(
            id="full",
            title="First come",
            needs=("no-way-back",),
            task="What does that mean for somebody who comes late? End the job `count`, and let Marathon take the "
            "room before anybody else wants it:\n\n"
            "```python\n"
            'for job in requests.get(f"{BATCH}/jobs").json()["jobs"]:\n'
            "    requests.delete(f\"{BATCH}/jobs/{job['id']}\")\n"
            'marathon.actions.deploy("web", "busybox:1.36", 24, cmd="sleep 100000", cpus=0.5, memory=16)\n'
            "```",
            check=filled,
            solution=fill_up,
            engines=EMBEDDED_ONLY,
            why="Marathon is above nine tenths, batch at nothing. Nobody has done anything wrong.",
        ),
        Step(
            id="late",
            title="Late, and important",
            needs=("full",),
            task="Hand in a small job called `late`, and say that it matters: batch weighs **100**.\n\n"
            "```python\n"
            'late = {"name": "late", "maps": 10, "seconds": 5, "spread": 0.5, "cpus": 0.5, "mem": 32}\n'
            'requests.post(f"{BATCH}/jobs", json=late)\n'
            'marathon.client.mesos.send("PUT", "/weights", [{"role": "batch", "weight": 100}])\n'
            "```",
            prediction=Prediction(
                "Batch has the smallest share that one can have, and a hundredfold weight. What happens?",
                (STARTS, TAKEN, NOTHING),
                what_weight_did,
            ),
            check=starved,
            solution=come_late,
            engines=EMBEDDED_ONLY,
            why="First in the queue, and nothing is handed out. Long tasks starve short ones: the short ones give "
            "their room back all the time, the long ones never do. Real clusters answer with **quota** (room that is "
            "kept free for a role), with **reservations** (resources that only one role is offered), or with agents "
            "of their own.",
        ),
        Step(
            id="relief",
            title="Relief",
            needs=("late",),
            task="Only whoever holds something can give it back. Suspend `/web`, and see `late` through. (Some of its "
            "tasks have found no room, so its deployment goes on, and holds a lock: `force=True` breaks it.)",
            check=relieved,
            solution=make_room,
            hints=(
                Hint(
                    "`marathon.client.suspend('/web', force=True)`, or **Suspend** in the dashboard. Without `force` "
                    "Marathon answers 409: the app's deployment waits for room, too, and holds a lock."
                ),
                Hint(
                    "There is room now. A task takes five seconds, and reduce tasks wait for the last map.",
                    when=quietly(False)(lambda context: room(context, MAP) > 0 or job(context, LATE) is None),
                ),
            ),
            engines=EMBEDDED_ONLY,
            why="This is the two levels of Mesos: the master decides *who is offered* what is free; a framework "
            "decides what to run, and what to end.",
            patience=90,
        ),
        Step(
            id="orphans",
            title="A scheduler goes away",
            needs=("relief",),
            task="A last job, with long tasks. When its twelve run, stop the batch framework's scheduler:\n\n"
            "```python\n"
            'nightly = {"name": "nightly", "maps": 12, "seconds": 600, "cpus": 0.5, "mem": 32}\n'
            'requests.post(f"{BATCH}/jobs", json=nightly)\n'
            "```\n\n"
            "and, once the graph shows them, `marathon.stop('batch')`.",
            prediction=Prediction(
                "What becomes of the twelve tasks?",
                (DIE, RUN_ON),
                fate_of_orphans,
            ),
            check=orphaned,
            solution=stop_batch,
            hints=(Hint("The scheduler is a component like any other: `marathon.components` lists them."),),
            engines=EMBEDDED_ONLY,
            why="Tasks belong to agents and executors; the scheduler only speaks for them. The master waits for it, "
            "for as long as its `failover_timeout` says (here an hour), and offers it nothing meanwhile. If nobody "
            "has come back by then, its tasks are ended.",
            patience=90,
        ),
        Step(
            id="back",
            title="And comes back",
            needs=("orphans",),
            task="Start it again.",
            check=taken_up,
            solution=start_batch,
            hints=(Hint("`marathon.start('batch')`"),),
            engines=EMBEDDED_ONLY,
            why="It had written its framework id down, and subscribed with it. Then it asked the master what has "
            "become of its tasks while it was away: that is *reconciliation*, and you will write it yourself in the "
            "next lab.",
        ),
        Step(
            id="teardown",
            title="Tear it down",
            needs=("back",),
            task="There is another way to leave. Find the framework's id, and tear it down:\n\n"
            "```python\n"
            "for found in marathon.client.mesos.frameworks():\n"
            '    print(found["name"], found["id"])\n'
            "```\n\n"
            "`marathon.client.mesos.teardown(ID)` (in a terminal: `curl … /master/teardown -d frameworkId=…`)",
            prediction=Prediction(
                "The scheduler itself is alive. What becomes of its tasks this time?",
                (RUN_ON, DIE),
                fate_of_torn,
            ),
            check=torn_down,
            solution=tear_down,
            engines=EMBEDDED_ONLY,
            why="A teardown is final. Its tasks are killed, its id is burnt (“Framework has been removed”), and the "
            "scheduler has to begin anew under another one; its job is lost. An operator does this to a framework "
            "that nobody wants any more, and a wrong id here ruins somebody's day.",
            patience=90,
        ),
        Step(
            id="clean-up",
            title="Clean up",
            needs=("teardown",),
            task="Destroy `/cache` and `/web`, and let both roles weigh 1.",
            check=tidy,
            solution=tidy_up,
            hints=(
                Hint(
                    "`marathon.client.delete('/cache', force=True)`: its deployment still waits for room, so force it."
                ),
                Hint(
                    'Weights: `send("PUT", "/weights", [{"role": "*", "weight": 1}, {"role": "batch", "weight": 1}])`'
                ),
            ),
            why="Weights outlive the frameworks that they were meant for. Look at `/roles` before you wonder.",
        ),
    ),
    recap=(
        Recap(
            "A has a tenth of the CPUs and half of the memory; B has four tenths of the CPUs and a tenth of the "
            "memory. Both weigh the same. Who is offered the next free CPU?",
            ("A: it has fewer CPUs", "B: its dominant share is smaller", "Whoever asked first"),
            1,
            "0.5 against 0.4. What the free resource *is* does not matter; only what each holds most of.",
        ),
        Recap(
            "A cluster is full of tasks that never end. You raise the weight of a role that waits…",
            ("and it gets its part within seconds", "and it is first in line, for nothing", "and others are restarted"),
            1,
            "Weights, like shares, decide about what is free. Room comes from tasks that end, or from quota that was "
            "set before.",
        ),
        Recap(
            "You want to upgrade a framework's scheduler without losing its tasks. You…",
            (
                "tear it down and start the new one",
                "stop it, and start the new one with the same framework id in time",
                "start the new one beside it, under another id",
            ),
            1,
            "That is what `failover_timeout` is for. A new id is a new framework, which owns none of the old tasks.",
        ),
    ),
    shows={
        "many frameworks share one cluster": "joins",
        "dominant resource fairness decides who is offered what is free": "level",
    },
)
