# SPDX-License-Identifier: Apache-2.0
"""The options of a client, for type checkers and editors."""

from __future__ import annotations

import os
from typing import Literal, TypedDict


class Options(TypedDict, total=False):
    """See Client."""

    mode: Literal["leased", "notify"]
    credits: int
    lease: float | None
    name: str | None
    socket_dir: str | os.PathLike[str] | None
    timeout: float | None
    reconnect: bool
    wait: bool
