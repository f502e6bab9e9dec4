"""The experiments of the book: a module a stamped result.

Each has its ``ARMS`` (or ``arms(values)``, where they depend on what was found) and a
``main`` that runs, compares and stamps. A stamp depends on the code that ``main``
reaches in this folder, and on what the experiments use of the library.
"""
