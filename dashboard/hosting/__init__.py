"""Hosted mode: one server, many strangers. Switched on by the environment variable SEE_BPTT_HOSTED.

    SEE_BPTT_HOSTED=1                                the caps of `Caps`
    SEE_BPTT_HOSTED="minutes=30 trainings=1"         the same with some of them changed

| module      | job                                                                                        |
|-------------|--------------------------------------------------------------------------------------------|
| caps        | what a visitor may ask for, refused with both numbers before anything starts               |
| owners      | whose run it is: a secret in the visitor's cookie, its hash in the run's folder            |
| queue       | at most so many trainings at a time; the others wait, by turns among visitors              |
| presence    | a visit to a run: keeps its training at work, its place in the queue, and puts off its end |
| sweeping    | runs that nobody used for days, and the longest unused where space runs out                |
| uploads     | the web server's doors: what uploads may take of the memory; no statistics for strangers   |
| rates       | so much for each visitor, and then slower: connections, uploads, what pages ask for        |
| connections | the server's process talks to no other machine                                             |

No Streamlit here. What is promised, and what is not: docs/promises.md.
"""

from dashboard.hosting.caps import VARIABLE, Caps, at_most, check_corpus, check_training, check_upload, current_caps
from dashboard.hosting.connections import stay_offline
from dashboard.hosting.owners import (
    COOKIE,
    OWNER_FILE,
    SECRET,
    check_run_count,
    one_at_a_time,
    owner_id,
    owner_of,
    set_owner,
)
from dashboard.hosting.presence import record_visit
from dashboard.hosting.queue import (
    QueuePosition,
    check_room,
    dispatch,
    enqueue,
    leave,
    position,
    refresh_all,
    take_spare_slot,
)
from dashboard.hosting.sweeping import sweep
from dashboard.hosting.uploads import UploadGuard

__all__ = [
    "COOKIE",
    "OWNER_FILE",
    "SECRET",
    "VARIABLE",
    "Caps",
    "QueuePosition",
    "UploadGuard",
    "at_most",
    "check_corpus",
    "check_room",
    "check_run_count",
    "check_training",
    "check_upload",
    "current_caps",
    "dispatch",
    "enqueue",
    "take_spare_slot",
    "leave",
    "one_at_a_time",
    "owner_id",
    "owner_of",
    "position",
    "record_visit",
    "refresh_all",
    "set_owner",
    "stay_offline",
    "sweep",
]
