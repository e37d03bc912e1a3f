"""Faults in results and their storage; see `mutant_list`."""

from mutant import Mutant

MUTANTS = (
    Mutant(
        name="runner_up_is_a_certificate",
        fault="A result against the runner-up alone that calls itself proved.",
        file="tfcurv/results/result.py",
        old='return self.targets_protocol == "all"',
        new="return True",
        tests=("tests/results/result_test.py::SummaryTest",),
    ),
    Mutant(
        name="arrays_unverified",
        fault="The arrays of a saved result read without their hash.",
        file="tfcurv/results/storage.py",
        old="if hashlib.sha256(packed).hexdigest() != expected:",
        new="if not expected:",
        tests=("tests/results/storage_test.py::ReadResultTest",),
    ),
    Mutant(
        name="two_writers_at_once",
        fault="A checkpoint that two runs write to at the same time.",
        file="tfcurv/results/lock.py",
        old="fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        new="fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)",
        tests=("tests/results/shards_test.py",),
    ),
    Mutant(
        name="other_data_resumed",
        fault="A checkpoint continued with other data than it was begun with.",
        file="tfcurv/results/shards.py",
        old='if str(arrays.pop("data_hash", "")) != data_hash:',
        new='if not arrays.pop("data_hash", ""):',
        tests=("tests/results/shards_test.py",),
    ),
)
