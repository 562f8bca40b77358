"""labs/marathon/16-constraints-and-health: where tasks may run, how one knows that they are well, and who is lost."""

from __future__ import annotations

from labkit.guide import Ask, Hint, Lab, Prediction, Recap, Step

from .common import heal_everything
from .constraints_and_health_living import (
    ALONE,
    AT_ONCE,
    BOTH,
    CAREFUL,
    ENDED,
    GIVES_UP,
    KILLED,
    NEITHER,
    QUICK,
    REPAIRED,
    SIX,
    SLOWER,
    SWAPPED,
    agent_is_lost,
    backs_off,
    be_patient,
    both_run,
    clinic_is_well,
    cure,
    cut_one_off,
    deploy_both,
    everybody_back,
    fate_of_the_old,
    heal_all,
    how_it_goes_on,
    killed_too_early,
    make_one_ill,
    one_was_killed,
    open_clinic,
    post_crasher,
    post_slow,
    post_three_ways,
    reset,
    slow_is_well,
    three_ways,
    tidy,
    tidy_up,
    who_has_replacements,
)
from .constraints_and_health_steps import (
    EVEN,
    NEVER,
    ONE_RACK,
    REFUSED,
    RUNS,
    SHARE,
    SKEWED,
    WAITS,
    any_spread,
    ask_for_four,
    ask_for_less,
    count_racks,
    count_refusals,
    counted_racks,
    does_it_run,
    evenly_spread,
    fate_of_the_fourth,
    fourth_waits,
    greedy_runs,
    greedy_waits,
    how_it_spread,
    no_ssd,
    one_each,
    post_greedy,
    post_no_ssd,
    post_one_each,
    post_spread,
    post_together,
    post_two_zones,
    read_why,
    say_how_many,
    together,
    two_zones,
)

DRILL = {"attached": "An attached cluster is somebody's real one. Do this on an embedded sandbox."}

LAB = Lab(
    id="marathon/16-constraints-and-health",
    title="Constraints and health",
    goal="Say where tasks may run, read why one waits, and see what becomes of the ill, the crashing and the lost.",
    minutes=45,
    orchestrator="marathon",
    setup=heal_everything,
    reset=reset,
    steps=(
        Step(
            id="racks",
            title="Look at the racks",
            task="The cell above prints what each agent says of itself.",
            ask=Ask("On how many different racks do they stand?"),
            check=counted_racks,
            solution=count_racks,
            why="**Attributes** are words that an agent was started with (`--attributes=rack:rack-1;zone:a`). Mesos "
            "puts them into every offer, and attaches no meaning to them. Whoever takes offers may: Marathon's "
            "constraints do.",
        ),
        Step(
            id="one-each",
            title="One on each",
            needs=("racks",),
            task="Post an app `/one-each`: `cmd` `sleep 100000`, `cpus` 0.1, `mem` 16, three `instances`, and "
            '`"constraints": [["hostname", "UNIQUE"]]`.',
            check=one_each,
            solution=post_one_each,
            hints=(
                Hint("`marathon.client.create({...})` posts it, `requests.post` to `/v2/apps` does too."),
                Hint("`constraints` is a list of lists, also when there is only one."),
            ),
            why="Without the constraint all three would have gone to whichever agent was offered first. `hostname` is "
            "no attribute but the agent's own name; everything else in that place is looked up among the attributes.",
        ),
        Step(
            id="fourth",
            title="One too many",
            needs=("one-each",),
            task="There are three agents. Ask for **four** instances of `/one-each`.",
            prediction=Prediction("What does Marathon do?", (REFUSED, SHARE, WAITS), fate_of_the_fourth),
            check=fourth_waits,
            solution=ask_for_four,
            why="A valid wish that nobody can fulfil *today*. The fourth instance stands in the **launch queue** and "
            "looks at each offer that comes by. Tomorrow you may buy a fourth machine; then it runs, and nobody has "
            "to remember it.",
        ),
        Step(
            id="why",
            title="Read why",
            needs=("fourth",),
            task="Marathon remembers the last offer of each agent that it did not use, and the reason: "
            "`marathon.why('one-each')`, or click the waiting task in the graph.",
            ask=Ask("For how many agents is the reason UnfulfilledConstraint?"),
            check=read_why,
            solution=count_refusals,
            hints=(Hint("In plain HTTP: `GET /v2/queue?embed=lastUnusedOffers`."),),
            why="“Why does my app not start?” is the question that operators of Marathon are asked most. The answer is "
            "never in an agent's log, for no agent has heard of that task: it is in `/v2/queue`, counted by reason.",
        ),
        Step(
            id="spread",
            title="Over the racks",
            needs=("why",),
            task="A rack loses its power as a whole, so spread over racks: `/spread`, the same command, **four** "
            '`instances`, `[["rack", "GROUP_BY"]]`.',
            prediction=Prediction("How will the four stand?", (EVEN, SKEWED, ONE_RACK), how_it_spread),
            check=any_spread,
            solution=post_spread,
            why="*Evenly over the values that I know of*, and Marathon knows a value only from an offer it has seen "
            "and used. The first offer came from one rack; with one rack to fill, four on it **is** even. This has "
            "surprised many, on the day the rack went dark.",
        ),
        Step(
            id="spread-2",
            title="Say how many",
            needs=("spread",),
            task='So tell it how many values there are: change the constraint to `[["rack", "GROUP_BY", "2"]]`.',
            check=evenly_spread,
            solution=say_how_many,
            hints=(Hint("`marathon.client.update('/spread', {'constraints': […]})`"),),
            why="Two and two. A constraint is checked when a task is *placed*, so the change was a new version, and "
            "all four were placed anew. `GROUP_BY` is also the one operator that looks after it again when you scale "
            "down: it picks the tasks to kill so that the rest stays even.",
            patience=90,
        ),
        Step(
            id="together",
            title="All in one place",
            needs=("spread-2",),
            task="The opposite, for tasks that talk to each other all day: `/together`, three `instances`, "
            '`[["rack", "CLUSTER", "rack-2"]]`.',
            check=together,
            solution=post_together,
            why="Without a value, `CLUSTER` would take the rack of its first task for all others. Fast, and all gone "
            "when that rack is: a constraint is a promise in both directions.",
        ),
        Step(
            id="two-zones",
            title="Two wishes at once",
            needs=("together",),
            task="Constraints add up. `/two-zones`, two `instances`: only in zones whose name matches `a|c` (`LIKE` "
            "takes a pattern), and not more than one in each (`MAX_PER`).",
            check=two_zones,
            solution=post_two_zones,
            hints=(
                Hint('`["zone", "LIKE", "a|c"]`'),
                Hint('`["zone", "MAX_PER", "1"]`: the number is a string, too.'),
            ),
            why="An offer has to please *all* of them. The other operators: `UNLIKE` (must not match), `IS` (exactly "
            "this value).",
        ),
        Step(
            id="no-ssd",
            title="What nobody has",
            needs=("two-zones",),
            task='`/no-ssd`, one instance, `[["disk", "UNLIKE", "ssd"]]`. None of the agents has an attribute `disk`.',
            prediction=Prediction("Does it run?", (RUNS, NEVER), does_it_run),
            check=no_ssd,
            solution=post_no_ssd,
            why="An agent that lacks the attribute fails *every* operator but this one. So with `UNLIKE` a typo in the "
            "attribute's name allows every agent, and with all the others it forbids every agent. Which of the two "
            "would you rather be woken for?",
        ),
        Step(
            id="greedy",
            title="Break it: too big",
            needs=("why",),
            task="Another way to wait for ever: `/greedy`, one instance of the same command, with **5** `cpus`. Then "
            "ask `marathon.why('greedy')`.",
            check=greedy_waits,
            solution=post_greedy,
            why="`InsufficientCpus`, agent by agent with what was offered. There may be eleven free cpus in the "
            "cluster and not five in one place: a task cannot be cut in pieces.",
        ),
        Step(
            id="modest",
            title="Ask for less",
            needs=("greedy",),
            task="Let it have half a cpu.",
            check=greedy_runs,
            solution=ask_for_less,
            hints=(Hint("409? Its first deployment never ended, so it still holds the lock: `force=True`."),),
            why="The deployment that waited was thrown away, and the next offer was big enough.",
        ),
        Step(
            id="clinic",
            title="Ask them how they are",
            needs=("modest",),
            task="Running is not the same as working. Post the app of the cell above; it has a **health check**.",
            check=clinic_is_well,
            solution=open_clinic,
            why="Marathon itself asks each task every two seconds. And a deployment now ends later: not when the tasks "
            "run, but when they are *healthy*. That one line makes a rolling restart safe.",
        ),
        Step(
            id="ill",
            title="Make one ill",
            needs=("clinic",),
            task="`traefik/whoami` can be made to fail: POST the text `500` to `/health` of *one* of the two tasks. "
            "Its process runs on, and `/` still answers.",
            prediction=Prediction("It fails three times in a row. What then?", (REPAIRED, KILLED, ALONE), cure),
            check=one_was_killed,
            solution=make_one_ill,
            hints=(
                Hint("`requests.post(f'http://{host}:{port}/health', data='500')`; the task's JSON has both."),
                Hint("`marathon.client.tasks('/clinic')` lists them, with `healthCheckResults`."),
            ),
            why="A check of Marathon's knows one cure: kill, and let the launch queue find a new place. "
            "(`maxConsecutiveFailures: 0` means: never kill, only mark. The next lab has a use for that.) What it was "
            "killed for stands in `lastTaskFailure`.",
        ),
        Step(
            id="slow",
            title="Break it: no patience",
            needs=("ill",),
            task="Post `/slow` of the cell above. It needs 15 seconds to warm up; its check gives it a **grace "
            "period** of two.",
            check=killed_too_early,
            solution=post_slow,
            why="Killed before it could ever answer, and again, and again: each new task is as slow as the last. From "
            "outside it looks like a crash, and its own log shows nothing wrong. If an app *never* gets healthy, look "
            "at its checks first.",
            patience=120,
        ),
        Step(
            id="patient",
            title="Patience",
            needs=("slow",),
            task="Give it a `gracePeriodSeconds` of 60.",
            check=slow_is_well,
            solution=be_patient,
            hints=(
                Hint("GET the app, change `healthChecks[0]`, and PUT the whole list."),
                Hint("Its deployment never ended: `force=True`."),
            ),
            why="In the grace period failures do not count. It ends with the first success: whoever has been well once "
            "gets no more patience.",
            patience=120,
        ),
        Step(
            id="three-ways",
            title="Three ways to ask",
            needs=("patient",),
            task="Post `/three-ways` of the cell above, and wait until all three of its checks have answered.",
            check=three_ways,
            solution=post_three_ways,
            why="**HTTP** wants a status from 200 to 399, **TCP** a connection, **COMMAND** an exit code of 0. The "
            "first two are asked by Marathon, over the network. A command is run by the *agent*, beside the task: it "
            "goes on without Marathon, and costs Marathon nothing. (`MESOS_HTTP` and `MESOS_TCP` are asked by the "
            "agent, too: for thousands of tasks, use those.)",
            patience=120,
        ),
        Step(
            id="crasher",
            title="Some never learn",
            needs=("three-ways",),
            task="Post `/crasher`: `cmd` `sleep 1; exit 1`, `cpus` 0.1, `mem` 16 and `backoffFactor` 2. Watch `delay` "
            "in `GET /v2/queue` for a while.",
            prediction=Prediction(
                "It fails every time. What does Marathon do?", (GIVES_UP, AT_ONCE, SLOWER), how_it_goes_on
            ),
            check=backs_off,
            solution=post_crasher,
            hints=(Hint("Has it no `backoffFactor`? Its default, 1.15, gets there too, but later."),),
            why="1 s, 2 s, 4 s… up to `maxLaunchDelaySeconds` (300), and never the end of it. The pause belongs to the "
            "app's *configuration*: deploy a change, and it starts anew, for the change may be the cure. "
            "`DELETE /v2/queue//crasher/delay` ends the pause at once.",
            patience=120,
        ),
        Step(
            id="two-apps",
            title="Two apps, two characters",
            needs=("crasher",),
            task="Run the cell above. `/quick` and `/careful` do the same; only what they think of silence differs.",
            check=both_run,
            solution=deploy_both,
            why="`unreachableStrategy`: after `inactiveAfterSeconds` of silence Marathon starts a replacement, after "
            "`expungeAfterSeconds` it forgets the old task. The default is 0 and 0.",
        ),
        Step(
            id="lost",
            title="An agent falls silent",
            needs=("two-apps",),
            task="Cut off an agent that runs tasks of both: click it and press **Cut off**, or "
            "`marathon.partition('agent-1')`. Then wait until Mesos gives up: five pings, 15 seconds apart.",
            prediction=Prediction(
                "Which of the two has its replacements as soon as the agent counts as lost?",
                (QUICK, CAREFUL, BOTH, NEITHER),
                who_has_replacements,
            ),
            check=agent_is_lost,
            solution=cut_one_off,
            hints=(Hint("Impatient? On the embedded engine time is a parameter: `marathon.speed(10)`."),),
            engines=DRILL,
            why="For 75 seconds nobody knew anything. Then the master told every framework: `TASK_UNREACHABLE`. It is "
            "not *dead*; Mesos does not know, and says so. `/quick` started others at once. `/careful` waits ten "
            "minutes first: right for a database, whose twin would be worse than a gap.",
            patience=180,
        ),
        Step(
            id="back",
            title="And returns",
            needs=("lost",),
            task="**Heal** the agent. Its tasks have never stopped.",
            prediction=Prediction(
                "The old tasks of `/quick` are back, beside the new ones. What becomes of them?",
                (ENDED, SIX, SWAPPED),
                fate_of_the_old,
            ),
            check=everybody_back,
            solution=heal_all,
            engines=DRILL,
            why="The agent registered again and told what it runs. `/careful` knew those tasks, and has them back: "
            "same ids, not a second lost. `/quick` had forgotten its own, and a task that nobody knows is killed. The "
            "price of being quick: until the agent was back, *six* ran where four were wanted.",
            patience=120,
        ),
        Step(
            id="clean-up",
            title="Clean up",
            needs=("back",),
            task="Destroy all apps of this lab.",
            check=tidy,
            solution=tidy_up,
            hints=(Hint("`for app in marathon.client.apps(): marathon.client.delete(app['id'], force=True)`"),),
            why="Also those that waited: nobody wants them any more, so they leave the queue.",
        ),
    ),
    recap=(
        Recap(
            "An app does not start, and no agent's log mentions it. Where do you look?",
            ("`/v2/queue`", "The agents' `stderr`", "ZooKeeper"),
            0,
            "It has no agent yet. The launch queue counts, by reason, the offers that did not fit.",
        ),
        Recap(
            'Six racks, and `["rack", "GROUP_BY"]` without a number. The tasks…',
            ("stand on all six", "may all stand on one", "wait"),
            1,
            "Marathon spreads over the values it knows. Tell it how many there are.",
        ),
        Recap(
            "An agent is silent for 30 seconds. What has Marathon done?",
            ("Nothing: it has not been told", "Started replacements", "Killed its tasks"),
            0,
            "The master pings for 75 seconds before it says `TASK_UNREACHABLE`. (Health checks notice sooner.)",
        ),
    ),
    shows={
        "constraints on the agents' attributes say where tasks may run": "spread-2",
        "whoever waits is told why each offer was refused": "why",
        "health checks decide what may live, and when a deployment is done": "ill",
        "what fails again and again is tried again, ever more slowly": "crasher",
        "an agent that is silent may come back: unreachable is not dead": "back",
    },
)
