"""What has a path of its own below an object: ``scale``, ``binding``, ``eviction``.

``status`` and ``finalize`` are updates of the object itself: see ``strategies``.
"""
