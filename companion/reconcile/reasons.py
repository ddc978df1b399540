"""Reasons: why a plan needs a step, as a code for scripts and as text for users."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a step is needed, for scripts; a value never changes its meaning."""

    MISSING = "missing"
    IMAGE_MISSING = "image-missing"
    SPEC_CHANGED = "spec-changed"
    NETWORK_CHANGED = "network-changed"
    NAMESPACE_REPLACED = "namespace-replaced"
    STOPPED = "stopped"
    COMING = "coming"
    RESTARTED_ELSEWHERE = "restarted-elsewhere"
    RESTART_REQUESTED = "restart-requested"
    NOT_LOADED = "not-loaded"
    NOT_WANTED = "not-wanted"
    ENGINE_CHANGED = "engine-changed"
    FILES_UNKNOWN = "files-unknown"
    FILES_LOST = "files-lost"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Why:
    """The reason for a step, as a code and as text for users."""

    reason: Reason
    text: str

    def __str__(self) -> str:
        return self.text
