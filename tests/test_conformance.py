"""The conformance suite itself: that it is complete, and that it can fail.

The cases are run by tests/contract/test_conformance.py.
"""

import ast
import gc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from codebench.cli import main
from codebench.conformance import suite
from codebench.conformance.case import Bench, Case, Group, NotTestableHereError
from codebench.conformance.elsewhere import ELSEWHERE, ProvenElsewhere
from codebench.conformance.suite import CASES, Finding, State, try_case
from codebench.conformance.watched import WatchedBackend
from codebench.errors import SandboxError
from codebench.sandbox.backend import Backend
from codebench.sandbox.bubblewrap import BubblewrapBackend
from codebench.sandbox.execution import MIB, Limits, Sandbox, Step, StepResult
from codebench.sandbox.pool import SlotPool
from codebench.sandbox.scripted import ScriptedSandbox, scripted_result

ROOT = Path(__file__).parents[1]
WANTED: dict[Group, str] = {
    Group.RESOURCES: """
        forkbomb_python forkbomb_rust_command thread_bomb membomb_single membomb_children
        membomb_does_not_poison_next tmpfs_fill_does_not_kill_supervisor disk_fill_big_file
        sparse_and_fallocate inode_fill infinite_stdout infinite_stderr
        output_larger_than_pipe_no_deadlock invalid_utf8_output utf8_split_at_cap
        nul_and_ansi_output stdout_closed_then_sleep pipe_held_by_grandchild stdin_is_eof
        sleep_forever busy_loop_cpu_limit c_loop_ignores_sigalrm deadlocked_threads
        stack_overflow_is_signal no_core_dump""",
    Group.PROCESSES: """
        doublefork_daemon_reaped setsid_escapee sigstop_group kill_minus1_contained
        signal_supervisor_denied zombie_steady_state_10k exit_by_signal_reported""",
    Group.ESCAPE: """
        network_denied_tcp network_denied_udp network_denied_dns network_denied_unix_abstract
        af_alg_vsock_iouring_denied unshare_mount_ptrace_denied 32bit_syscalls_denied
        proc_snoop_empty env_is_minimal rootfs_readonly no_setuid_in_image read_tests_denied
        symlink_fifo_device_copyout toctou_binary_swap caps_and_nnp_zero""",
    Group.LEAKS: """
        leak_tmp leak_workdir leak_shm leak_sysv_ipc leak_mqueue leak_keyring leak_abstract_socket
        leak_flock leak_background_process cpu_and_peak_counters_are_per_sample
        order_independence_shuffled""",
    Group.COMPILING: """
        include_host_file path_mod_no_leak incbin env_macro bootstrap_feature_rejected
        const_eval_loop macro_doubling recursion_limit_raise mono_bomb_mode_documented huge_array
        include_dev_zero paren_nesting_segv_is_compile_crash ice_nonjson json_amplification_capped
        nul_bom_invalid_utf8_source lone_surrogate_sample giant_source_rejected edition_2021
        crate_name_attr_ok_and_contained unconditional_panic_rejected_like_build
        deny_lint_not_capped fn_main_in_lib_ok rustc_pids_floor_is_infra""",
    Group.PARSERS: """
        deep_nesting_python_ast_subprocess deep_nesting_tree_sitter_subprocess
        treesitter_hang_killed""",
    Group.FAULTS: """
        slot_killed_midrun_is_infra_and_retried daemon_restart_resumes
        oom_vs_external_kill_distinguished host_disk_full_is_infra ctrl_c_once_flushes
        ctrl_c_twice_no_orphans sigkill_resume_exactly_once torn_last_log_line
        reaper_removes_only_dead_owners limits_selfcheck_fails_closed hung_docker_api_deadline
        parallel_1000_no_leaks""",
    Group.PYTHON_TAMPERING: """
        sys_exit0 os__exit0 raise_systemexit_at_import atexit_flip always_equal str_subclass_eq
        builtins_override monkeypatch_check fake_passed_marker steal_result_fd forged_frames
        gc_frame_walk_finds_nothing sitecustomize_pth_conftest_ignored time_patched
        humaneval_canonical_164_pass humaneval_32_38_50_helpers_trusted""",
    Group.RUST_TAMPERING: """
        process_exit0 init_array_exit0 shadow_assert_macro always_partialeq shadow_std_types
        candidate_defines_main_and_tests include_own_source cfg_any_vacuous_not_counted
        swallowing_macro_vacuous""",
}
"""Every attack that the research on sandboxes names (its section 8), with the outcome it wants."""


@pytest.mark.parametrize("group", WANTED)
def test_every_attack_has_its_case_or_its_test(group: Group) -> None:
    """No name of the list is missing, none is made up, and every case says what it shows."""
    names = [case.name for case in CASES if case.group is group]
    names += [row.name for row in ELSEWHERE if row.group is group]
    assert sorted(names) == sorted(f"test_{name}" for name in WANTED[group].split())
    assert all(case.shows.endswith(".") for case in CASES)


@pytest.mark.parametrize("row", ELSEWHERE, ids=[row.name for row in ELSEWHERE])
def test_what_is_proven_elsewhere_is_there(row: ProvenElsewhere) -> None:
    """Every test that the table refers to stands in the file that it names."""
    for test in row.tests:
        path, _, name = test.partition("::")
        nodes = ast.walk(ast.parse((ROOT / path).read_bytes()))
        assert name in {node.name for node in nodes if isinstance(node, ast.FunctionDef)}, test


class OpenBubblewrap(BubblewrapBackend):
    """Slots that are isolated from the machine, but whose steps are not from one another."""

    def __init__(self) -> None:
        super().__init__()
        at = self._argv.index("--remount-ro")
        self._argv[at:at] = ["--tmpfs", "/tmp", "--tmpfs", "/w", "--tmpfs", "/dev/shm"]
        self._argv += ["--isolation", "none"]


class LenientPool(SlotPool):
    """A real pool whose limits are not those that were asked for."""

    def run(self, step: Step) -> StepResult:
        """See `Sandbox`."""
        lenient = Limits(
            cpu_s=60,
            wall_s=1.5,
            memory_bytes=512 * MIB,
            n_processes=64,
            disk_bytes=16 * MIB,
            n_files=8192,
            output_bytes=4 * MIB,
            output_kill_bytes=60 * MIB,
        )
        return super().run(replace(step, limits=lenient))


UNISOLATED = """
    doublefork_daemon_reaped setsid_escapee kill_minus1_contained network_denied_tcp
    network_denied_udp af_alg_vsock_iouring_denied unshare_mount_ptrace_denied
    32bit_syscalls_denied proc_snoop_empty rootfs_readonly caps_and_nnp_zero leak_tmp leak_shm
    leak_sysv_ipc leak_mqueue leak_keyring leak_abstract_socket leak_flock
    leak_background_process order_independence_shuffled"""
UNLIMITED = """
    membomb_single membomb_children disk_fill_big_file
    inode_fill infinite_stdout infinite_stderr utf8_split_at_cap busy_loop_cpu_limit
    c_loop_ignores_sigalrm json_amplification_capped oom_vs_external_kill_distinguished"""


def _findings(backend: Backend, pool_kind: type[SlotPool], names: str) -> list[Finding]:
    wanted = {f"test_{name}" for name in names.split()}
    watched = WatchedBackend(backend)
    pool = pool_kind(watched, n_slots=1)
    try:
        bench = Bench(pool)
        return [
            try_case(case, bench, n_early_ends=lambda: watched.n_early_ends)
            for case in CASES
            if case.name in wanted
        ]
    finally:
        pool.close()


@pytest.mark.bubblewrap
@pytest.mark.parametrize(
    ("make", "pool_kind", "names"),
    [(OpenBubblewrap, SlotPool, UNISOLATED), (BubblewrapBackend, LenientPool, UNLIMITED)],
    ids=["no isolation", "no limits"],
)
def test_a_sandbox_that_does_not_hold_is_found_out(
    make: Callable[[], Backend], pool_kind: type[SlotPool], names: str
) -> None:
    """Without isolation between steps, or without limits, the cases that are about that fail."""
    findings = _findings(make(), pool_kind, names)
    assert len(findings) == len(names.split())
    assert [finding.case.name for finding in findings if finding.state is not State.FAILS] == []


_MAY_BE_REFUSED = {
    "test_include_host_file",
    "test_path_mod_no_leak",
    "test_incbin",
    "test_huge_array",
    "test_include_dev_zero",
    "test_deep_nesting_python_ast_subprocess",
}
_NEEDS_NO_SANDBOX = {"test_deep_nesting_tree_sitter_subprocess", "test_treesitter_hang_killed"}


def _holds(case: Case, sandbox: Sandbox) -> bool:
    try:
        return case.attempt(Bench(sandbox)) is None
    except (SandboxError, NotTestableHereError):
        return False


@pytest.mark.parametrize("exit_code", [0, 1, None])
def test_no_case_holds_by_silence(exit_code: int | None) -> None:
    """A sandbox that says nothing passes no case, but for compilers that refuse without a word."""
    sandbox = ScriptedSandbox(lambda step: scripted_result(step, exit_code=exit_code))
    silent = {case.name for case in CASES if _holds(case, sandbox)} - _NEEDS_NO_SANDBOX
    assert silent == (_MAY_BE_REFUSED if exit_code == 1 else set())


def _case(attempt: Callable[[Bench], str | None]) -> Case:
    return Case(group=Group.FAULTS, name="test_it", shows="It holds.", attempt=attempt)


def _unable(bench: Bench) -> str | None:
    raise NotTestableHereError("there is no such thing here")


def _broken(bench: Bench) -> str | None:
    raise SandboxError("a slot went away")


_RIGHT, _WRONG = b"['own', 'program.py'] [] [] 499500\n", b"['own'] ['left'] [] 499500\n"


@pytest.mark.parametrize(
    ("attempt", "after", "n_early_ends", "told"),
    [
        (lambda bench: None, _RIGHT, [0, 0], "holds"),
        (lambda bench: "two\nlines", _RIGHT, [0, 0], "DOES NOT HOLD: two lines"),
        (_unable, _RIGHT, [0, 0], "not testable here: there is no such thing here"),
        (_broken, _RIGHT, [0, 0], "DOES NOT HOLD: our side failed: a slot went away"),
        (lambda bench: None, _RIGHT, [0, 1], "DOES NOT HOLD: the slot died and was replaced"),
        (
            lambda bench: None,
            _WRONG,
            [0, 0],
            f"DOES NOT HOLD: the next program was harmed: exit 0, 27 + 0 bytes, {_WRONG!r}",
        ),
        (_unable, _RIGHT, [2, 3], "DOES NOT HOLD: the slot died and was replaced"),
    ],
)
def test_what_a_case_is_told_to_be(
    attempt: Callable[[Bench], str | None], after: bytes, n_early_ends: list[int], told: str
) -> None:
    """A case holds if it saw nothing wrong, the next program is unharmed, and the slot lives."""
    sandbox = ScriptedSandbox(lambda step: scripted_result(step)._replace(stdout=after))
    ends = iter(n_early_ends)
    finding = try_case(_case(attempt), Bench(sandbox), n_early_ends=lambda: next(ends))
    assert str(finding) == told


def _doctor(*words: str, env: dict[str, str] | None = None) -> Result:
    result = CliRunner().invoke(main, ["doctor", "--sandbox-suite", *words], env=env)
    gc.collect()  # docker leaves the socket of a refused connection to the collector
    return result


without_docker = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@without_docker
@pytest.mark.bubblewrap
@pytest.mark.parametrize(("seen", "exit_code"), [(None, 0), ("a | b", 1)])
def test_doctor_runs_the_suite(
    monkeypatch: pytest.MonkeyPatch, seen: str | None, exit_code: int
) -> None:
    """The table goes to stdout, progress to stderr, and an attack that gets through is exit 1.

    Docker, which is not there, is left out, and that is said.
    """
    monkeypatch.setattr(suite, "CASES", (_case(lambda bench: seen),))
    result = _doctor(env={"DOCKER_HOST": "unix:///nowhere"})
    assert result.exit_code == exit_code, result.stderr
    cell = "holds" if seen is None else "DOES NOT HOLD: a \\| b"
    assert f"| Faults | it | It holds. | {cell} |" in result.stdout.splitlines()
    assert "| group | case | shows | bubblewrap, namespaces |" in result.stdout.splitlines()
    assert "bubblewrap, namespaces: 1/1 test_it: " in result.stderr
    assert "left out: no Docker daemon answers" in result.stderr


def test_doctor_does_not_attack_without_a_sandbox() -> None:
    """Without isolation nothing is run: exit 2, and one line."""
    result = _doctor("--sandbox", "none")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("codebench: the suite attacks the machine that it runs on")


@without_docker
def test_doctor_needs_a_sandbox_for_the_suite() -> None:
    """A sandbox that is not there ends in exit 3, with its fix."""
    result = _doctor("--sandbox", "docker", env={"DOCKER_HOST": "unix:///nowhere"})
    assert (result.exit_code, result.stdout) == (3, "")
    last = result.stderr.splitlines()[-1]
    assert last.startswith("codebench: no Docker daemon answers: start it")


def test_the_written_table_is_of_these_cases() -> None:
    """sandbox/CONFORMANCE.md lists every case with what it shows, and none that does not hold."""
    text = (ROOT / "sandbox" / "CONFORMANCE.md").read_text()
    for case in CASES:
        row = f"| {case.group} | {case.name.removeprefix('test_')} | {case.shows} | holds | holds |"
        assert row in text
    for row_ in ELSEWHERE:
        assert all(f"`{test}`" in text for test in row_.tests)
    assert State.FAILS not in text
