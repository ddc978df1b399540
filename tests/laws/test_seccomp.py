"""The list of system calls: what it refuses, and that it says something about each one there is."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from desk import ROOT

PROFILE = json.loads((ROOT / "assets/seccomp.json").read_text())
RULES = PROFILE["syscalls"]
ALLOW, REFUSE, ENOSYS = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", 38
FILTERED = {"clone", "personality", "socket", "socketpair"}
HEADERS = ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm-generic/unistd.h")
ALIASES = {"arch_specific_syscall", "fstatat", "llseek", "syscalls"}
"""Names of the generic header that are no system calls of any machine."""
DANGEROUS = (
    *("add_key", "bpf", "clone3", "io_uring_enter", "io_uring_register", "io_uring_setup"),
    *("keyctl", "mount", "open_tree", "perf_event_open", "request_key", "setns", "socketcall"),
    *("umount2", "unshare", "userfaultfd"),
)


def judged(name: str, *arguments: int) -> str:
    """Return what the list says to a call, as an engine reads it."""
    for rule in RULES:
        if name in rule["names"] and all(holds(c, arguments) for c in rule.get("args", ())):
            return str(rule["action"])
    return str(PROFILE["defaultAction"])


def holds(condition: dict[str, int | str], arguments: tuple[int, ...]) -> bool:
    given, value = arguments[int(condition["index"])], int(condition["value"])
    return {
        "SCMP_CMP_EQ": given == value,
        "SCMP_CMP_NE": given != value,
        "SCMP_CMP_GT": given > value,
        "SCMP_CMP_MASKED_EQ": given & value == int(condition.get("valueTwo", 0)),
    }[str(condition["op"])]


@pytest.mark.parametrize("call", ["socket", "socketpair"])
def test_sockets_of_four_families_are_made_and_no_others(call: str):
    families = range(70)
    assert {f for f in families if judged(call, f, 1, 0) == ALLOW} == {1, 2, 10, 16}
    audit = 9
    assert judged(call, 16, 3, audit) == REFUSE
    # The kernel reads 32 bits of what a filter sees as 64.
    assert judged(call, 1 << 32 | 40, 1, 0) == REFUSE


def test_only_threads_and_processes_without_namespaces_are_made():
    thread, user, network = 0x3D0F00, 0x10000000, 0x40000000
    assert judged("clone", thread) == ALLOW
    assert {judged("clone", thread | flag) for flag in (user, network, 0x20000)} == {REFUSE}
    assert {judged(name) for name in DANGEROUS} == {REFUSE}


def test_no_other_architectures_calls_are_let_through():
    """By socketcall(2) of 32-bit programs, any 64-bit program could make a socket of any family.

    Its arguments are in memory, where no filter reads them; libseccomp allows it with socket(2).
    """
    assert [one for one in PROFILE["archMap"] if one["subArchitectures"]] == []


def test_there_is_one_word_about_each_system_call():
    names = Counter(name for rule in RULES for name in rule["names"] if "args" not in rule)
    assert [name for name, count in names.items() if count > 1 or name in FILTERED] == []
    assert all(rule["names"] for rule in RULES)
    # A call that is not there yet: programs do without, as on an older kernel.
    assert (PROFILE["defaultAction"], PROFILE["defaultErrnoRet"]) == (REFUSE, ENOSYS)


@pytest.mark.parametrize("header", HEADERS)
def test_the_list_knows_each_system_call_of_the_kernels_headers(header: str):
    if not Path(header).exists():
        pytest.skip(f"{header} is missing: `apt-get install linux-libc-dev` installs it")
    text = Path(header).read_text()
    names = set(re.findall(r"^#define __NR(?:3264)?_(\w+) ", text, re.MULTILINE)) - ALIASES
    known = {name for rule in RULES for name in rule["names"]}
    assert len(names) > 300
    assert names - known == set(), "allow or refuse them in assets/seccomp.json"
