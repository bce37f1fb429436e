"""What the test suite alone can prove: it kills daemons and harnesses, and grades programs.

Each name is that of the list of attacks; the tests that prove it are named by file and function. A
test looks that they are there.
"""

from collections.abc import Mapping
from typing import NamedTuple

from codebench.conformance.case import Group

_CONTRACT = "tests/contract"
_FAULTS: Mapping[str, tuple[str, ...]] = {
    "slot_killed_midrun_is_infra_and_retried": (
        f"{_CONTRACT}/test_faults.py::test_slot_killed_midrun",
    ),
    "daemon_restart_resumes": (
        "tests/test_faults_named.py::test_daemon_restart_resumes",
        f"{_CONTRACT}/test_daemon.py::test_a_daemon_that_goes_away",
    ),
    "host_disk_full_is_infra": (
        "tests/test_store.py::test_a_full_disk_is_said_and_leaves_whole_lines",
        "tests/test_run.py::test_a_full_disk_ends_the_run",
    ),
    "ctrl_c_once_flushes": (
        f"{_CONTRACT}/test_faults.py::test_ctrl_c",
        "tests/test_run.py::test_ctrl_c_keeps_what_was_judged",
    ),
    "ctrl_c_twice_no_orphans": (f"{_CONTRACT}/test_faults.py::test_ctrl_c",),
    "sigkill_resume_exactly_once": (
        "tests/test_end_to_end.py::test_kill_9_and_the_same_command_give_the_undisturbed_samples",
        f"{_CONTRACT}/test_orphans.py::test_a_killed_harness_leaves_nothing_running",
    ),
    "torn_last_log_line": (
        "tests/test_store.py::test_a_kill_at_any_byte_loses_at_most_the_line_in_flight",
    ),
    "reaper_removes_only_dead_owners": (
        f"{_CONTRACT}/test_orphans.py::test_only_dead_owners_lose_their_containers",
    ),
    "limits_selfcheck_fails_closed": (
        f"{_CONTRACT}/test_selftest.py::test_limits_selfcheck_fails_closed",
    ),
    "hung_docker_api_deadline": (
        f"{_CONTRACT}/test_daemon.py::test_a_daemon_that_hangs_at_a_start",
        f"{_CONTRACT}/test_daemon.py::test_a_daemon_that_hangs_during_a_step",
    ),
    "parallel_1000_no_leaks": ("tests/test_faults_named.py::test_parallel_1000_no_leaks",),
}
_PYTHON = {
    "test_python_tampering.py": (
        "sys_exit0 os__exit0 raise_systemexit_at_import atexit_flip always_equal str_subclass_eq "
        "builtins_override monkeypatch_check fake_passed_marker steal_result_fd forged_frames "
        "gc_frame_walk_finds_nothing sitecustomize_pth_conftest_ignored time_patched"
    ),
    "test_python_grading.py": "humaneval_canonical_164_pass humaneval_32_38_50_helpers_trusted",
}
_RUST = {
    "test_rust_tampering.py": (
        "process_exit0 init_array_exit0 shadow_assert_macro always_partialeq shadow_std_types "
        "candidate_defines_main_and_tests include_own_source cfg_any_vacuous_not_counted "
        "swallowing_macro_vacuous"
    )
}


class ProvenElsewhere(NamedTuple):
    """An attack whose case is a test."""

    group: Group
    name: str
    """As of a `Case`."""

    tests: tuple[str, ...]
    """Each as FILE::FUNCTION, from the top of the repository."""


def _tampering(group: Group, files: Mapping[str, str]) -> list[ProvenElsewhere]:
    return [
        ProvenElsewhere(group, f"test_{name}", (f"tests/{file}::test_{name}",))
        for file, names in files.items()
        for name in names.split()
    ]


ELSEWHERE: tuple[ProvenElsewhere, ...] = (
    *(ProvenElsewhere(Group.FAULTS, f"test_{name}", tests) for name, tests in _FAULTS.items()),
    *_tampering(Group.PYTHON_TAMPERING, _PYTHON),
    *_tampering(Group.RUST_TAMPERING, _RUST),
)
