"""Look up known vulnerabilities of the locked packages: `.venv/bin/python .ci/audit.py`.

Of the lock those packages are looked up that this Python on this system installs.

The status is 1 for a vulnerability that is not waived below, and for a package that was not looked
up. Where the service that knows them cannot be reached at all, one sentence says so and the status
is 0: the other checks need no such service.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

WAIVERS: dict[str, tuple[date, str]] = {}
"""Vulnerabilities to live with: by identifier, the last day on which that holds, and why."""

LOCK = Path(__file__).parent.parent / "requirements-lock.txt"
AUDIT = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--format=json"]
UNREACHABLE = re.compile(r"requests\.exceptions\.|ServiceError|may be blocking this service")
"""What pip-audit's last line of a failure says of the network; its status is 1 for everything."""


def main() -> int:
    """Print what was found, and return the status."""
    done = subprocess.run(
        [*AUDIT, "--progress-spinner=off", f"--requirement={LOCK}"],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError:
        last = done.stderr.strip().rpartition("\n")[2]
        if UNREACHABLE.search(last):
            return _not_reached()
        print(done.stderr)
        return 1
    lines, failed = judge(packages, date.today())
    if packages and all("skip_reason" in one for one in packages):  # a mirror without the service
        return _not_reached()
    print("\n".join(lines))
    return int(failed)


def judge(packages: list[dict[str, Any]], today: date) -> tuple[list[str], bool]:
    """One line for each finding and one for all; whether something is neither clean nor waived.

    Args:
        packages: as pip-audit lists them: `name` and either `skip_reason` or `version` and `vulns`.
        today: the day on which waivers must still hold.
    """
    lines, failed = [], not packages
    for package in packages:
        if "skip_reason" in package:
            lines.append(f"{package['name']} was not looked up: {package['skip_reason']}")
            failed = True
        for found in package.get("vulns", ()):
            known = [WAIVERS[name] for name in (found["id"], *found["aliases"]) if name in WAIVERS]
            waived = [f"waived until {end}: {why}" for end, why in known if today <= end]
            failed |= not waived
            fixed = ", ".join(found["fix_versions"]) or "no version"
            lines.append(
                f"{package['name']} {package['version']}: {found['id']}, fixed in {fixed}"
                f" ({waived[0] if waived else 'not waived'})"
            )
    return [*lines, f"{len(packages)} packages, {len(lines)} findings."], failed


def _not_reached() -> int:
    print("The packages were not audited: the service that knows vulnerabilities was not reached.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
