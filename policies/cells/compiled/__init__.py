"""The Numba back end: wired cells over sequences, compiled when they first run, with nothing to build.

A batch is cut into chunks of eight sequences, which run step after step through the lists of synapses in
vector instructions (`vectors.py`); chunks are shared among as many threads as torch computes with, which are
torch's own where it uses OpenMP. The results are those of the plain torch path to single precision (a test
compares them). Nothing here is imported unless the back end is chosen (`policies/cells/backends.py`).
"""
