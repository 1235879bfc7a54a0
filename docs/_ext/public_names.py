"""Every public name of the package has its place in these pages; one without is a warning, and with `-W` an error."""

from __future__ import annotations

from typing import Any, cast

from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain
from sphinx.util import logging

import bptt

logger = logging.getLogger(__name__)


def check(app: Sphinx, env: Any) -> None:
    documented = cast(PythonDomain, env.get_domain("py")).objects
    for name in (name for name in bptt.__all__ if not name.startswith("__")):
        if f"bptt.{name}" not in documented:
            logger.warning("bptt.%s is public, and no page describes it", name)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("env-check-consistency", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
