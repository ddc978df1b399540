"""A clock that was wrong for one `up`: `doctor` says so, and the next `up` repairs it."""

from datetime import UTC, datetime, timedelta

from desk import Desk
from fake_project import Fake, config

from companion.reconcile import certificates

SERVICE = """\
  - plugin: external-services
    services: [{url: "https://a.test", headers: {Authorization: "${KEY}"}}]
"""


def test_certificates_of_a_clock_that_was_ahead_are_named_and_renewed(desk: Desk):
    fake = Fake(desk, desk.project(config() + SERVICE, __env="KEY=one\n"))
    fake.companion("up").ok()
    ca = desk.home / ".local/share/companion/ca"
    projects = desk.home / ".local/state/companion/projects"
    (leaf,) = projects.glob("*/coder/certificates/a.test.pem")
    ahead = datetime.now(UTC) + timedelta(days=300)
    authority = certificates.Authority((ca / "ca.crt").read_text(), (ca / "ca.key").read_text())
    leaf.write_text(certificates.issue(authority, "a.test", ahead))
    assert "warning  the certificate for a.test is not valid yet" in desk.companion("doctor").out
    fake.companion("up").ok()
    assert certificates.flaw(leaf.read_text(), authority, datetime.now(UTC)) == ""

    ahead_of_us = certificates.new_authority(ahead)
    (ca / "ca.crt").write_text(ahead_of_us.certificate)
    (ca / "ca.key").write_text(ahead_of_us.key)
    assert "failed   the sandbox CA is not valid yet" in desk.companion("doctor").out
    done = fake.companion("up").ok()
    assert "the sandbox CA is not valid yet: creating another" in done.err
    assert "ok       2 certificates are current" in desk.companion("doctor").out
    fake.is_whole()
