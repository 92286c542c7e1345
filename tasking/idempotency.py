"""A customer's key for one submission: sent again after a lost answer, it finds the order instead of making another.

As the IETF's draft of the header field has it (draft-ietf-httpapi-idempotency-key-header): a key belongs to one
request; with another one it is refused.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from tasking.errors import IdempotencyError

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionKey:
    """What a submission is known by."""

    text: str
    """As the customer chose it; keys of different customers are different."""

    digest: str
    """SHA-256, in hexadecimal, of what was asked for."""

    @classmethod
    def of(cls, text: str, product_id: str, request: Mapping[str, Any]) -> Self:
        """The key of a request for a product.

        Raises
        ------
        IdempotencyError
            It is not 1 to 255 visible ASCII characters.
        """
        if not _KEY.fullmatch(text):
            raise IdempotencyError(
                f"Idempotency-Key: {text[:40]!r} is not 1 to 255 visible ASCII characters; give a UUID for each order"
            )
        asked = json.dumps([product_id, request], sort_keys=True, separators=(",", ":"), allow_nan=False)
        return cls(text=text, digest=hashlib.sha256(asked.encode()).hexdigest())

    def check(self, digest: str) -> None:
        """Compare with what the key was first used for.

        Raises
        ------
        IdempotencyError
            It was another request.
        """
        if digest != self.digest:
            raise IdempotencyError(
                f"Idempotency-Key: {self.text!r} was used for another order; take a new key for a new order, or send"
                " the same body again"
            )
