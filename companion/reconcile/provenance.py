"""Provenance: whether what asks for a power came with a checkout, or was written by the user.

A text came with a checkout if it is what git has in HEAD or the index. Where the user has edited a
file since, or a merge did, what is in git's own version of it came with the checkout all the same.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

from companion.config import decode
from companion.errors import CompanionError
from companion.project import discovery
from companion.reconcile import project_files
from companion.reconcile.locate import Locator
from companion.reconcile.validate import Checked
from companion.sandbox import assemble, engine_power
from companion.sandbox.powers import Agreed, Kind, Power, is_covered
from companion.sandbox.powers_inside import content_of
from companion.sandbox.powers_of import powers_of
from companion.spec.containers import File
from companion.system import files, git


@dataclass(frozen=True)
class Provenance:
    """Judges the powers of one agent."""

    checked: Checked
    agreed: Collection[Agreed]

    def came_with_a_checkout(self, power: Power, is_new: bool) -> bool:  # noqa: FBT001 - grown() calls it
        """Tell whether the text that asks for a power did, or the content of the file it names."""
        ref = self.checked.ref
        asking = ref.project.directory / power.file if power.file else ref.config
        if is_new or not power.path:
            return git.committed(asking) or self._is_recorded(power)
        places = map(Path, (power.path, *power.links))
        return any(map(git.committed, places)) or self._has_unknown_content(power)

    def _is_recorded(self, power: Power) -> bool:
        """Tell whether git's version of the config asks for the power, too, or cannot be read.

        Of one that was agreed to in part, only a version that asks for more counts.
        """
        if self._recorded is None:
            return True
        same = (one for one in self._recorded if (one.kind, one.subject) == _key(power))
        return any(not is_covered(one, self.agreed) for one in same)

    def _has_unknown_content(self, power: Power) -> bool:
        """Tell whether git's version of a file is none that the user agreed to."""
        texts = git.recorded(Path(power.path))
        same = (one for one in self.agreed if (one.kind, one.subject) == _key(power))
        known = {one.content for one in same}
        return texts is None or any(content_of([File("", text)]) not in known for text in texts)

    @cached_property
    def _recorded(self) -> frozenset[Agreed] | None:
        """What git's versions of the config ask for; None if one of them cannot be read."""
        ref = self.checked.ref
        agents, fleets = git.recorded(ref.config), git.recorded(ref.project.fleet)
        if agents is None or fleets is None:
            return None
        now = discovery.config_text(ref), files.read_text(ref.project.fleet)
        try:
            versions = {
                *product((*map(_decoded, agents), now[0]), (*map(_decoded, fleets), now[1]))
            } - {now}
            return frozenset(power.agreed for one in versions for power in self._powers(*one))
        except (CompanionError, UnicodeDecodeError):
            return None

    def _powers(self, agent: str, fleet: str | None) -> tuple[Power, ...]:
        ref = self.checked.ref
        config, document = decode.agent(agent)
        above = decode.fleet(fleet) if fleet is not None else None
        loaded = decode.loaded(config, document, above)
        program = assemble.program(config, document)
        contribution = assemble.additions(loaded, program)
        found = project_files.find(ref, contribution, Locator())
        fenced = self.checked.host.build_network.is_fenced
        opened = powers_of(loaded, program, contribution, found, fences_builds=fenced, origins={})
        return (*opened, *engine_power.powers(loaded, {}))


def _decoded(text: bytes) -> str:
    return text.decode()


def _key(power: Power) -> tuple[Kind, str]:
    return power.kind, power.agreed.subject
