"""labs/kubernetes/06-control-plane: one order from hand to hand, and what freezes without each hand."""

from __future__ import annotations

from labkit.guide import Ask, Hint, Lab, Prediction, Recap, Step

from .common import heal_everything, living, quietly
from .control_plane_steps import (
    BY_FILE,
    all_back,
    controllers_back,
    count_static,
    counted_static,
    create_hello,
    deleted_without_grace,
    door_shut,
    expose_hello,
    gone,
    kubelets_back,
    nobody_counts,
    remove_both,
    reset,
    right_hand,
    scheduler_back,
    some_wait,
    start_both,
    start_controllers,
    start_kubelets,
    start_scheduler,
    stop_apiserver,
    stop_controllers,
    stop_etcd,
    stop_kubelet,
    stop_scheduler,
    store_gone,
    two_run,
    undead,
    way_in,
    what_became,
    what_lives,
    who_bound,
    who_ends_it,
    who_replaces,
)

DRILL = {"attached": "An attached cluster is somebody's real one: its parts are not stopped. Use an embedded sandbox."}

LAB = Lab(
    id="kubernetes/06-control-plane",
    title="The control plane",
    goal="Follow one order from hand to hand, then take the hands away one by one.",
    minutes=35,
    orchestrator="kubernetes",
    setup=heal_everything,
    reset=reset,
    steps=(
        Step(
            id="who-is-who",
            title="Who is who",
            task="List the cluster's own pods: the cell above, or `kubectl get pods -n kube-system` in a terminal. "
            "Some names end in the name of the control plane's machine.",
            ask=Ask("How many pods are named after the control plane?"),
            check=counted_static,
            solution=count_static,
            hints=(Hint("`coredns` and `kube-proxy` end in random letters: somebody *made up* those names."),),
            why="**etcd** remembers. **kube-apiserver** is the only one that talks to etcd, and the only one that "
            "anybody talks to. **kube-controller-manager** compares what is with what is wanted. **kube-scheduler** "
            "finds a node for each pod. On every machine, a **kubelet** runs the pods that are bound to it.",
        ),
        Step(
            id="one-order",
            title="Give one order",
            task="Open the diary (the cell above), then order **two** pods:\n\n"
            "`kubectl create deployment hello --image=traefik/whoami:v1.10 --replicas=2`\n\n"
            "or *Deploy another* in the dashboard.",
            check=two_run,
            solution=create_hello,
            hints=(
                Hint("No terminal? The solution does it in Python."),
                Hint("The name must be `hello`, the number 2.", when=quietly(False)(lambda c: bool(living(c)))),
            ),
            why="One `POST` to the API server. It was answered at once, long before a pod ran: what you got back was "
            "*noted*, not *done*.",
        ),
        Step(
            id="handwriting",
            title="Whose handwriting?",
            needs=("one-order",),
            task="Read the diary: every line is one write into etcd, in its order.",
            ask=Ask(
                "Who wrote down on which node a pod goes?",
                ("kubectl-create", "kube-controller-manager", "default-scheduler", "kubelet"),
            ),
            check=right_hand,
            solution=who_bound,
            why="Nobody called anybody. Each **watches** the API server for the one thing it cares about – a "
            "Deployment without a ReplicaSet, a ReplicaSet without enough pods, a pod without a node, a pod on *my* "
            "node – writes its answer there, and forgets it.",
        ),
        Step(
            id="no-scheduler",
            title="Stop the scheduler",
            needs=("one-order",),
            task="`kube.stop('kube-scheduler')`. Then ask for **four** pods with the dashboard's slider.",
            prediction=Prediction(
                "You ask for four, and nobody schedules. What happens?",
                ("Nothing: two pods stay", "Pods are created and wait", "The kubelets share them out"),
                what_became,
            ),
            check=some_wait,
            solution=stop_scheduler,
            hints=(Hint("In a terminal: `kubectl scale deployment hello --replicas=4`."),),
            engines=DRILL,
            why="The controllers did their part: four pods *exist*. They are **Pending**, and `kubectl describe pod` "
            "gives no reason – there is nobody who would have written one.",
        ),
        Step(
            id="scheduler-back",
            title="Start it again",
            needs=("no-scheduler",),
            task="`kube.start('kube-scheduler')`",
            check=scheduler_back,
            solution=start_scheduler,
            engines=DRILL,
            why="Nobody told it what it had missed. It **lists** all pods, sees which have no node, and works. That is "
            "what *level-triggered* means: look at how things are, not at what happened.",
            patience=90,
        ),
        Step(
            id="no-controllers",
            title="Stop the controllers",
            needs=("scheduler-back",),
            task="`kube.stop('kube-controller-manager')`. Then delete a pod of `hello`: click it in the graph and "
            "press **Delete pod**, or `kubectl delete pod NAME`.",
            prediction=Prediction(
                "A pod is deleted. Who makes another?",
                ("The ReplicaSet, as always", "Its kubelet", "Nobody replaces it"),
                who_replaces,
            ),
            check=nobody_counts,
            solution=stop_controllers,
            hints=(Hint("One of the four is enough."),),
            engines=DRILL,
            why="A ReplicaSet does nothing: it is a *note*. The controller that reads it is asleep. So is the one "
            "that writes the Deployment's status: `kubectl get deployment hello` still says 4/4. **Status is what "
            "somebody saw last**, not what is.",
        ),
        Step(
            id="controllers-back",
            title="Wake them",
            needs=("no-controllers",),
            task="`kube.start('kube-controller-manager')`",
            check=controllers_back,
            solution=start_controllers,
            engines=DRILL,
            why="Three are there, four are wanted: one more. (On a real cluster this takes a quarter of a minute: the "
            "lease of the one before must run out, so that two never count at the same time.)",
            patience=120,
        ),
        Step(
            id="no-kubelet",
            title="Stop a kubelet",
            needs=("controllers-back",),
            task="Choose a pod and its node from the list above. Stop that node's kubelet: "
            "`kube.stop('kubelet', NODE)`. Then delete the pod: `kubectl delete pod NAME --wait=false`, or "
            "`core.delete_namespaced_pod(NAME, 'default')`.",
            prediction=Prediction(
                "You delete a pod whose kubelet is stopped. What becomes of its container?",
                ("The API server ends it", "Nothing: it goes on answering", "It ends after 30 seconds of grace"),
                who_ends_it,
            ),
            check=undead,
            solution=stop_kubelet,
            hints=(
                Hint(
                    "The dashboard deletes without grace: then the API server forgets the pod at once, and nobody "
                    "waits for the kubelet. Use `kubectl delete pod NAME --wait=false`.",
                    when=deleted_without_grace,
                ),
            ),
            engines=DRILL,
            why="Deleting is an order like any other. The pod is **Terminating**: marked, replaced, out of every "
            "Service – and running, for only its kubelet can end it. The old word *minion* is not a bad one: it alone "
            "has hands.",
        ),
        Step(
            id="kubelet-back",
            title="Give the node its hands back",
            needs=("no-kubelet",),
            task="`kube.start('kubelet', NODE)`",
            check=kubelets_back,
            solution=start_kubelets,
            engines=DRILL,
            why="It reads what it should have done, does it, and reports; only now is the pod gone from the list.",
            patience=90,
        ),
        Step(
            id="way-in",
            title="A way in that asks nobody",
            needs=("one-order",),
            task="Run the cell above. It makes a **Service** with a port on every machine.",
            check=way_in,
            solution=expose_hello,
            why="A connection to that port goes from the machine to a pod. No API server is asked on the way: "
            "kube-proxy has written the way down beforehand.",
        ),
        Step(
            id="no-etcd",
            title="Break it: the memory",
            needs=("way-in", "kubelet-back"),
            task="`kube.stop('etcd')`. Try `kubectl get pods`, and run the cell below.",
            prediction=Prediction(
                "etcd is gone. What still works?",
                ("Nothing", "Reading, but not writing", "The pods, and the Service in front of them"),
                what_lives,
            ),
            check=store_gone,
            solution=stop_etcd,
            engines={
                **DRILL,
                "docker": "This API server tries for up to a minute before it says so: `kubectl get pods "
                "--request-timeout=5s`.",
            },
            why="The API server is there, and knows nothing: it keeps no truth of its own. That is why one backs up "
            "**etcd** and nothing else.",
        ),
        Step(
            id="no-apiserver",
            title="And the front door",
            needs=("no-etcd",),
            task="`kube.stop('kube-apiserver')`. Now the cluster has no head at all. Ask the port again.",
            ask=Ask(
                "Nobody can be asked for anything now. Who will start the API server again?",
                ("The controller manager", BY_FILE, "Another API server"),
            ),
            check=door_shut,
            solution=stop_apiserver,
            engines=DRILL,
            why="The control plane's parts are **static pods**: files in a folder (`/etc/kubernetes/manifests`) that "
            "their machine's kubelet reads. It needs no API server for that; so a control plane can start itself.",
        ),
        Step(
            id="all-back",
            title="Bring the head back",
            needs=("no-apiserver",),
            task="`kube.start('etcd')`, then `kube.start('kube-apiserver')`.",
            check=all_back,
            solution=start_both,
            engines=DRILL,
            why="Everybody lists, compares, finds nothing to do. The pods never knew.",
            patience=180,
        ),
        Step(
            id="clean-up",
            title="Clean up",
            needs=("one-order",),
            task="`kubectl delete deployment,service hello`",
            check=gone,
            solution=remove_both,
            why="You deleted two notes; the garbage collector followed the owners down to the pods.",
        ),
    ),
    recap=(
        Recap(
            "Who tells a kubelet which pods to run?",
            ("The scheduler calls it", "Nobody: it watches the API server", "The controller manager calls it"),
            1,
            "Everybody watches the API server; nobody calls anybody.",
        ),
        Recap(
            "The control plane is down for an hour at night. Your users…",
            ("see nothing, unless something dies", "lose every connection", "can read, not write"),
            0,
            "Pods run, Services forward. But nothing that dies is replaced, moved or scaled.",
        ),
        Recap(
            "Pods are Pending, and `kubectl describe` shows no events. Whom do you suspect?",
            ("The node", "The scheduler", "The image"),
            1,
            "A scheduler that refuses writes down why. No word at all means that nobody looked.",
        ),
    ),
    shows={
        "a master takes API calls, keeps the configuration state and assigns workloads": "handwriting",
        "minions run the workloads": "no-kubelet",
    },
)
