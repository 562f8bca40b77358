"""labs/marathon/17-discovery-and-haproxy: how clients find tasks that come and go, and notice nothing of it."""

from __future__ import annotations

from labkit.guide import Ask, Hint, Lab, Prediction, Recap, Step

from .common import heal_everything
from .discovery_and_haproxy_steps import (
    CHECKS,
    ERRORS,
    KILLED,
    NONE_LOST,
    OLD_ROUTES,
    OUTAGE,
    PINGS,
    SOME_LOST,
    SPARED,
    UNAWARE,
    all_serve,
    become_polite,
    count_records,
    counted_records,
    cure_it,
    customers_come,
    door_is_open,
    fail_one,
    fate_of_the_ill,
    how_many_politely,
    how_many_rudely,
    led_by_another,
    make_one_ill,
    nothing_lost,
    one_left_out,
    only_wait,
    open_door,
    open_web,
    polite,
    reset,
    restart_it,
    restarted_rudely,
    routed_round,
    scale_and_restart,
    send_customers,
    step_down,
    tidy,
    tidy_up,
    web_is_well,
    what_they_noticed,
    who_noticed,
    whole_elsewhere,
)

NO_PLUG = {"attached": "An attached cluster has no plug: do this on an embedded sandbox."}

LAB = Lab(
    id="marathon/17-discovery-and-haproxy",
    title="Discovery and HAProxy",
    goal="Give tasks that come and go a name and a door, and change everything behind it while customers stream in.",
    minutes=40,
    orchestrator="marathon",
    setup=heal_everything,
    reset=reset,
    steps=(
        Step(
            id="web",
            title="Something to find",
            task="Post the app of the cell above.",
            check=web_is_well,
            solution=open_web,
            why="Three tasks, on ports that nobody could know before: the host port is whatever the offer had. And "
            "after each restart they are others. `maxConsecutiveFailures: 0` tells Marathon not to kill a task for its "
            "health.",
        ),
        Step(
            id="names",
            title="By name",
            needs=("web",),
            task="An address is half of the truth: where is the *port*? It is in the **SRV** records: "
            "`GET /v1/services/_web._tcp.marathon.mesos` at `$MESOS_DNS_URL`.",
            ask=Ask("How many SRV records are there?"),
            check=counted_records,
            solution=count_records,
            hints=(
                Hint("`requests.get(marathon.env['MESOS_DNS_URL'] + '/v1/services/_web._tcp.marathon.mesos').json()`"),
            ),
            why="One for each port of each task, with the port and a name that is this task's alone. Mesos-DNS asks "
            "nobody but the leading master's `/state`, so it knows the tasks of *every* framework: "
            "`app.framework.mesos`. It is simple, and slow: it looks again once a minute (here: within two seconds), "
            "and programs that keep an answer for long, or never ask for SRV, do not notice.",
        ),
        Step(
            id="door",
            title="One door",
            needs=("names",),
            task="marathon-lb turns apps into a configuration of HAProxy. It looks after those that carry its label: "
            "give `/web` the labels `HAPROXY_GROUP=external` and `HAPROXY_0_VHOST=web.example`.",
            check=door_is_open,
            solution=open_door,
            hints=(Hint("`marathon.client.update('/web', {'labels': {…}})`"),),
            why="The app's **service port**, 10080, is now a port of the load balancer, and never changes. By the "
            "second label the same tasks answer on port 80, to whoever asks for the host `web.example`. `0` is the "
            "index of the port: an app with two has `HAPROXY_1_…`, too.",
            patience=90,
        ),
        Step(
            id="ill",
            title="Routing follows health",
            needs=("door",),
            task="Make one of the tasks ill: POST `500` to its `/health`, past HAProxy, at its own host and port.",
            prediction=Prediction(
                "It is never killed for its health, we said. What then?", (KILLED, SPARED, ERRORS), fate_of_the_ill
            ),
            check=one_left_out,
            solution=make_one_ill,
            hints=(Hint("`task = marathon.client.tasks('/web')[0]`, then `task['host']` and `task['ports'][0]`"),),
            why="Marathon's check fails, marathon-lb hears of it by an event and takes the task out. HAProxy asks by "
            "itself besides, with the *same* health check. Meanwhile the task may refill a cache, or reconnect.",
            patience=90,
        ),
        Step(
            id="cure",
            title="Well again",
            needs=("ill",),
            task="POST `200` to it.",
            check=all_serve,
            solution=cure_it,
            why="And the customers are back, without anybody's help. (A Kubernetes readiness probe is this; a liveness "
            "probe is what the last lab did.)",
            patience=90,
        ),
        Step(
            id="customers",
            title="Customers",
            needs=("cure",),
            task="Post the app `/customers` of the cell above. Four customers ask without a pause, by way of HAProxy, "
            "and count.",
            check=customers_come,
            solution=send_customers,
            engines={
                "docker": "`/customers` is a process on an agent: it needs `python3` in its image, and to reach "
                "the door from there. If it cannot, take `door = marathon.machines[0].address`.",
            },
            why="They are an app like any other; what they count, they write into their sandbox folder. From now on "
            "every mistake has witnesses.",
            patience=60,
        ),
        Step(
            id="rude",
            title="Restart under load",
            needs=("customers",),
            task="Restart `/web` while the customers stream in: `marathon.client.restart('/web')`. New tasks first, "
            "old ones go when the new ones are healthy: what can go wrong?",
            prediction=Prediction("How many requests are lost?", (NONE_LOST, SOME_LOST), how_many_rudely),
            check=restarted_rudely,
            solution=restart_it,
            hints=(Hint("`print(log('/customers'))` shows what they count."),),
            why="Marathon did everything right, and some still got an error. At SIGTERM `whoami` ends *at once*: with "
            "the requests that it was working on, before HAProxy has been told. For a moment the door leads nowhere.",
            patience=120,
        ),
        Step(
            id="polite",
            title="Say goodbye",
            needs=("rude",),
            task="Update `/web` to the polite version of the cell above. At SIGTERM it serves on for six seconds, and "
            "only then ends.",
            check=polite,
            solution=become_polite,
            why="That is all it takes, and it is the *app's* part: after SIGTERM, serve on until nobody sends you "
            "anything any more. `taskKillGracePeriodSeconds` is how long the executor waits before SIGKILL; its "
            "default, three seconds, would have been too short. (The old, rude tasks cost a few more on the way.)",
            patience=120,
        ),
        Step(
            id="lossless",
            title="Once more, with manners",
            needs=("polite",),
            task="Scale `/web` to **four**, and when they run, restart it. The customers do not stop.",
            prediction=Prediction("How many requests are lost this time?", (NONE_LOST, SOME_LOST), how_many_politely),
            check=nothing_lost,
            solution=scale_and_restart,
            why="Every task was replaced, HAProxy was given a new configuration several times (its old process hands "
            "the open sockets to the new one), and nobody noticed. A deployment is safe when three play together: "
            "health checks that tell the truth, a balancer that listens to them, and tasks that do not slam the door.",
            patience=150,
        ),
        Step(
            id="leader",
            title="Another leader",
            needs=("lossless",),
            task="Have the leading Marathon step down: `marathon.client.abdicate()`.",
            prediction=Prediction(
                "For a moment no Marathon leads. What do the customers notice?",
                (UNAWARE, OUTAGE, OLD_ROUTES),
                what_they_noticed,
            ),
            check=led_by_another,
            solution=step_down,
            why="Marathon is not on the way from the customer to the task. Who is: HAProxy and the agent. The second "
            "Marathon was elected in ZooKeeper, read the apps there, took over the framework with its id, and the "
            "tasks ran on. Without a leader nothing can *change*; what runs, runs.",
            patience=90,
        ),
        Step(
            id="agent",
            title="Pull a plug",
            needs=("leader",),
            task="Fail an agent that runs a task of `/web`, and not the customers, who are on `agent-3`. The graph "
            "shows who is where: **Pull plug**, or `marathon.fail('agent-1')`.",
            prediction=Prediction("Who is the first to notice?", (CHECKS, PINGS), who_noticed),
            check=routed_round,
            solution=fail_one,
            hints=(Hint("`marathon.client.tasks('/web')` has the host of each, too."),),
            engines=NO_PLUG,
            why="The checks notice within seconds and route round the hole; the master needs 75 s until it is sure. "
            "Both are right: to send customers elsewhere costs nothing if one was wrong. To start *replacements* does.",
            patience=90,
        ),
        Step(
            id="elsewhere",
            title="Whole again",
            needs=("agent",),
            task="Leave it dead, and wait until `/web` is whole again.",
            check=whole_elsewhere,
            solution=only_wait,
            hints=(Hint("Impatient? On the embedded engine: `marathon.speed(10)`."),),
            engines=NO_PLUG,
            why="Agent lost, tasks unreachable, new offers taken, health checked, HAProxy told: everything that you "
            "have seen in three labs, in one minute, without you.",
            patience=180,
        ),
        Step(
            id="clean-up",
            title="Clean up",
            needs=("elsewhere",),
            task="**Heal** the agent, and destroy `/customers` and `/web`.",
            check=tidy,
            solution=tidy_up,
            why="The names are gone, the door is shut.",
            patience=90,
        ),
    ),
    recap=(
        Recap(
            "A client looks up `web.marathon.mesos` and finds an address. What does it lack?",
            ("The port", "The leader", "Nothing"),
            0,
            "Ports are chosen from offers. SRV records have them; or let a balancer with a fixed service port do it.",
        ),
        Recap(
            "A rolling restart loses requests although `minimumHealthCapacity` is 1. Most likely…",
            ("HAProxy is too slow", "the tasks end at once at SIGTERM", "there are too few instances"),
            1,
            "Whoever is told to go must serve on until the balancer has stopped sending.",
        ),
        Recap(
            "All Marathons are down. Customers…",
            ("get errors", "notice nothing, until a task dies", "are sent to the masters"),
            1,
            "What runs, runs, and HAProxy knows where. Only nobody replaces what is lost.",
        ),
    ),
    shows={
        "names lead to tasks: an address and, in SRV records, a port": "names",
        "a load balancer follows the apps, and routing follows health": "ill",
        "an app is scaled and restarted under load, and no request is lost": "lossless",
        "Marathon's leader may change: what runs, runs": "leader",
    },
)
