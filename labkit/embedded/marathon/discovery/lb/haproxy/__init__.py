"""HAProxy itself: its configuration (``config``, ``templates``; pure) and its processes (``process``, ``engine``)."""
