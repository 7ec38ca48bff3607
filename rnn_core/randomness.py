"""One seed, split into named streams that are counted rather than remembered.

A stream is a pure function of (seed, name, counters): epoch 7 is shuffled by `stream(seed, "shuffle", 7)`, step 1200
drops units by `stream(seed, "dropout", 1200)`. So a checkpoint needs no generator's state, only the counters it has
anyway, and a sentence sampled in between can change nothing in the training.
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream(seed: int, name: str, *counters: int) -> np.random.Generator:
    """The generator that belongs to this seed, name and counters; the same arguments always give the same numbers.

    The arguments go through SHA-256 first: streams of neighbouring seeds and counters have nothing in common, and no
    two different lists of arguments are mistaken for each other.
    """
    unambiguous = name.replace("%", "%25").replace("/", "%2F")
    words = "/".join([str(int(seed)), unambiguous, *(str(int(counter)) for counter in counters)])
    digest = hashlib.sha256(words.encode("utf-8")).digest()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(int.from_bytes(digest, "little"))))
