"""labs/kubernetes/10-self-healing: what a kubelet mends, what a controller mends, and what waits for you."""

from __future__ import annotations

from labkit.guide import Ask, Hint, Lab, Prediction, Recap, Step

from .common import quietly
from .self_healing_machines import (
    at_first,
    cut_it_off,
    cut_off,
    effects,
    everybody_back,
    fate_of_the_lost,
    gone_silent,
    heal_all,
    machines,
    meanwhile,
    only_wait,
    pull_the_plug,
    reunited,
    silent,
    twins_elsewhere,
)
from .self_healing_steps import (
    REFUSED,
    after_closing,
    after_the_illness,
    answer_refused,
    backs_off,
    bakery_is_open,
    close_one,
    deploy_bakery,
    deploy_crashy,
    drained,
    eviction_refused,
    how_it_goes_on,
    left_out,
    make_budget,
    make_ill,
    nothing_to_spare,
    relax_and_drain,
    reset,
    restarted,
    setup,
    tidy,
    tidy_up,
)

NO_PLUG = {"attached": "An attached cluster has no plug: do this on an embedded sandbox."}
DRILL = {"attached": "An attached cluster is somebody's real one. Do this on an embedded sandbox."}

LAB = Lab(
    id="kubernetes/10-self-healing",
    title="Self-healing",
    goal="Break containers, a machine and a network, and see who mends each – and how long that takes.",
    minutes=40,
    orchestrator="kubernetes",
    setup=setup,
    reset=reset,
    steps=(
        Step(
            id="bakery",
            title="Open the bakery",
            task="Run the cell above: the Deployment `bakery`, three replicas, and its Service.",
            check=bakery_is_open,
            solution=deploy_bakery,
            why="A pod counts as *ready* once its readiness probe has been answered, and not before: until then the "
            "Service does not send anybody there.",
            patience=120,
        ),
        Step(
            id="ill",
            title="Make one ill",
            needs=("bakery",),
            task="The *liveness* probe of `bakery` asks every two seconds for the file `/tmp/alive`. Take it away from "
            "one of the pods: `kubectl exec POD -- rm /tmp/alive`, or `execute(POD, 'rm', '/tmp/alive')`.",
            prediction=Prediction(
                "The probe fails twice. What then?",
                (
                    "A new pod takes its place",
                    "Its container is started again, in the same pod",
                    "The Service leaves it out until somebody repairs it",
                ),
                after_the_illness,
            ),
            check=restarted,
            solution=make_ill,
            hints=(Hint("The names of the pods: `kubectl get pods`, or the dashboard."),),
            why="Same name, same node, same address; `RESTARTS` went up. No controller and no scheduler had a hand "
            "in it: the **kubelet** of that node asked, got no answer, and started the container again. It made the "
            "file anew, so it is well now. That is all a restart can mend: what a fresh start mends.",
        ),
        Step(
            id="closed",
            title="Out for lunch",
            needs=("ill",),
            task="The *readiness* probe asks for `/tmp/open`. Take that away from one pod: "
            "`execute(POD, 'rm', '/tmp/open')`.",
            prediction=Prediction(
                "What becomes of that pod?",
                ("It is restarted", "It gets no traffic, and is left alone", "It is deleted and replaced"),
                after_closing,
            ),
            check=left_out,
            solution=close_one,
            hints=(
                Hint("Click the Service `bakery` in the dashboard: *sends to*, and *not ready*."),
                Hint("If the pod was restarted, you took `/tmp/alive`. Its new container has both files again."),
            ),
            why="*Not ready* means “not now”: the pod leaves the Service's endpoints, and nothing else happens, "
            "however long it takes. Liveness is for what never comes back by itself, readiness for what does: a "
            "cold cache, a slow start, a database that is away. Confuse the two, and a busy pod gets killed for "
            "being busy.",
        ),
        Step(
            id="crash-loop",
            title="Some never learn",
            task="Create something that fails as soon as it starts:\n\n"
            "`kubectl create deployment crashy --image=busybox:1.36 -- sh -c 'exit 1'`\n\n"
            "and watch its pod for half a minute.",
            prediction=Prediction(
                "It fails at once, every time. What does the kubelet do?",
                (
                    "It gives up after five tries",
                    "It tries again at once, over and over",
                    "It tries again, after a longer pause each time",
                ),
                how_it_goes_on,
            ),
            check=backs_off,
            solution=deploy_crashy,
            hints=(Hint("`kubectl describe pod` says it in the last event: *Back-off restarting failed container*."),),
            why="10 s, 20 s, 40 s, up to five minutes, and never the end of it: `CrashLoopBackOff` is not an error, "
            "it is a pause. The error is the exit code before it: `kubectl logs --previous`. (Ten minutes of good "
            "behaviour, and the count starts anew.)",
            patience=90,
        ),
        Step(
            id="silence",
            title="Pull the plug",
            needs=("closed",),
            task="Choose a worker that runs a pod of `bakery`, and pull its plug: in the dashboard, or "
            "`kube.fail(NODE)`. Then look at `kubectl get pods` *at once*, and wait.",
            prediction=Prediction(
                "The machine is dead. In the first seconds its pods are said to be…",
                ("Running and ready, as if nothing had happened", "Terminating", "Pending"),
                at_first,
            ),
            check=gone_silent,
            solution=pull_the_plug,
            hints=(
                Hint("All three pods must be ready before: `kubectl exec POD -- touch /tmp/open` opens a closed one."),
                Hint(
                    "Impatient? On the embedded engine time is a parameter: `kube.speed(5)`.",
                    when=lambda context: context.sandbox.engine == "embedded" and bool(machines(context, "down")),
                ),
            ),
            engines=NO_PLUG,
            why="Nobody tells Kubernetes that a machine has died; it can only notice that it hears nothing. Each "
            "kubelet renews a *Lease* every ten seconds. After 50 s of silence (40 s before 1.32) the node lifecycle "
            "controller writes `Ready: Unknown`, taints the node, and marks its pods as not ready: from then on no "
            "Service sends anything there. For those 50 s, one request in three was lost.",
            patience=150,
        ),
        Step(
            id="twin",
            title="A twin elsewhere",
            needs=("silence",),
            task="Two of three are left. Wait: it is the cluster's turn. The pods of `bakery` *tolerate* a dead node "
            "for 10 seconds; if a manifest says nothing, Kubernetes writes **300** into it.",
            prediction=Prediction(
                "A new pod will take over. What becomes of the old one, on the dead machine?",
                ("It is gone", "It hangs in Terminating", "It is still there, not ready"),
                fate_of_the_lost,
            ),
            check=twins_elsewhere,
            solution=only_wait,
            hints=(
                Hint(
                    "No `NoExecute` taint after half a minute? Some real control planes never set it when they have "
                    "been through a bad start (kubernetes/kubernetes#104639). `kube.stop('kube-controller-manager')`, "
                    "and `kube.start('kube-controller-manager')`.",
                    when=quietly(False)(
                        lambda context: all("NoExecute" not in effects(node) for node in silent(context).values())
                    ),
                ),
            ),
            engines={
                **NO_PLUG,
                "docker": "A cluster that kind has just made sometimes never evicts (kubernetes/kubernetes#104639). So "
                "this lab has started its controller-manager anew.",
            },
            why="The taint `unreachable:NoExecute` evicts whoever does not tolerate it, or no longer. *Evicted* means "
            "deleted, and the ReplicaSet makes a twin. But only the kubelet can confirm that a container has ended, "
            "and it is silent: so the old pod stays *Terminating*. Is it dead? Nobody here can know.",
            patience=150,
        ),
        Step(
            id="back",
            title="Power on",
            needs=("twin",),
            task="**Heal** the machine, and watch what happens to the pod that hangs.",
            check=everybody_back,
            solution=heal_all,
            engines=NO_PLUG,
            why="The kubelet came back, learned that one of its pods should be gone, found nothing of it, and said so. "
            "Nothing moved back: the node is ready, and emptier than before. In the older words, the *minion* is at "
            "work again; who works where is for the *master* to say, and it has no reason to.",
            patience=120,
        ),
        Step(
            id="cut-off",
            title="Dead, or only silent?",
            needs=("back",),
            task="The other way to hear nothing: the machine is well, the cable is not. Find the node of `steady` and "
            "cut it off: click it and press **Cut off**, or `kube.partition(NODE)`. Wait until it is *NotReady*.",
            check=cut_off,
            solution=cut_it_off,
            engines=DRILL,
            why="Same silence, same condition, same taints. From the control plane there is *no difference* between a "
            "dead machine and one that is cut off. That is why Kubernetes waits five minutes before it makes a twin, "
            "and never thinks that the old pod has ended until it is told so.",
            patience=150,
        ),
        Step(
            id="reunited",
            title="And what was it doing?",
            needs=("cut-off",),
            task="Connect it again: **Heal**.",
            prediction=Prediction(
                "For a minute nobody heard of it. What did the container of `steady` do?",
                ("It ran on, unseen", "It was stopped, and started again", "It was frozen"),
                meanwhile,
            ),
            check=reunited,
            solution=heal_all,
            engines=DRILL,
            why="The same pod, not one restart: it never stopped. (A pod of `bakery` would have had a twin after ten "
            "seconds: for a while *four* would have run where three are wanted.) A ReplicaSet promises “at least about "
            "three”, never “at most three”. What must not run twice needs a lock, not a replica count.",
            patience=120,
        ),
        Step(
            id="budget",
            title="Not below three",
            needs=("back",),
            task="The last disaster is one that you plan: a machine needs a new kernel. First say how many pods of "
            "`bakery` must stay, whatever you do:\n\n"
            "`kubectl create poddisruptionbudget bakery --selector=app=bakery --min-available=3`",
            check=nothing_to_spare,
            solution=make_budget,
            engines={
                "docker": "A cluster older than 1.21 has budgets as `policy/v1beta1` only, which new kubectls do not "
                "know: look at the solution.",
            },
            why="A **PodDisruptionBudget** binds those who ask, and the drain asks. It cannot bind a power cut.",
        ),
        Step(
            id="refused",
            title="The drain that does not",
            needs=("budget",),
            task="Ask for an eviction; the cell above does.",
            ask=Ask(
                "What does the API server do?",
                (
                    "It evicts the pod: three minus one is enough for a moment",
                    REFUSED,
                    "It waits until a fourth pod is ready, then evicts",
                ),
            ),
            check=eviction_refused,
            solution=answer_refused,
            why="Three of three must stay, so nothing may ever go: this drain would wait for ever. It is the most "
            "common way in which an upgrade of a cluster gets stuck. A budget must leave room for at least one.",
        ),
        Step(
            id="drained",
            title="Room for one",
            needs=("refused",),
            task="Give it that room, `minAvailable: 2`, and drain a worker that runs a pod of `bakery`:\n\n"
            "```\n"
            'kubectl patch pdb bakery --type=merge -p \'{"spec": {"minAvailable": 2}}\'\n'
            "kubectl drain NODE --ignore-daemonsets --delete-emptydir-data\n"
            "```\n\n"
            "or **Drain** in the dashboard.",
            check=drained,
            solution=relax_and_drain,
            engines=DRILL,
            why="*Cordon*, then evict one after the other, each when the budget allows. The next one had to wait until "
            "the twin of the last was **ready**: which is why an honest readiness probe is worth its line.",
            patience=120,
        ),
        Step(
            id="clean-up",
            title="Clean up",
            needs=("drained",),
            task="Open the node again and remove what you made:\n\n"
            "```\n"
            "kubectl uncordon NODE\n"
            "kubectl delete deployment bakery steady crashy\n"
            "kubectl delete service,pdb bakery\n"
            "```",
            check=tidy,
            solution=tidy_up,
            why="Done. Everything that broke today was mended by somebody who asked the same question again and "
            "again: what should be, what is, and what is the next step?",
            patience=90,
        ),
    ),
    recap=(
        Recap(
            "Your service is overloaded and answers its probes too late. Which probe had better not notice?",
            ("Liveness", "Readiness", "Neither matters"),
            0,
            "Unready, it gets a rest. Killed, it leaves its work to the others, who are overloaded next.",
        ),
        Recap(
            "A machine dies. With default settings, when does a Deployment's pod have a twin?",
            ("At once", "After about 50 seconds", "After about six minutes"),
            2,
            "50 s until the node counts as silent, then 300 s of toleration. Shorter is possible, pod by pod, and "
            "costs needless twins whenever a network hiccups.",
        ),
        Recap(
            "A pod hangs in *Terminating* on a node that is gone. `kubectl delete --force`…",
            ("ends its container", "removes only the API's record of it", "is refused"),
            1,
            "Nobody can end a container on a machine that does not answer. If the machine was only cut off, it runs.",
        ),
    ),
    shows={
        "what dies is replaced: containers by the kubelet, pods by their controller": "twin",
        "a dead machine cannot be told from one that is cut off": "reunited",
    },
)
