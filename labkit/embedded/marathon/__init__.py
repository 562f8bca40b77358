"""Marathon, embedded: a framework on the embedded Mesos, and only through its scheduler API.

``specs`` says what an app is and which ones are valid, ``constraints`` and ``matching`` whether an offer will do and
what is launched on it, ``planning`` how to get from one set of apps to another. All of that is pure.
"""
