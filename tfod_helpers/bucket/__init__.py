"""A Cloud Storage bucket: made closed, granted to the one account that needs it, and audited.

* `ensure` makes a bucket, or finds it, and proves that files can be written there.
* `grant` lets one service account in, with the narrowest role; `revoke` takes it back.
* `audit` says who else gets in, and `close` shuts the world out.

Older tutorials gave ``roles/storage.admin`` to ``allAuthenticatedUsers``, which is everybody with a Google
account, so that a TPU could read a bucket. A TPU of today is in the machine that runs the notebook and needs no
such thing.
"""

from tfod_helpers.bucket.auditing import Audit, audit, close
from tfod_helpers.bucket.findings import Finding
from tfod_helpers.bucket.granting import Grant, grant, revoke, service_account
from tfod_helpers.bucket.making import Bucket, ensure

__all__ = ["Audit", "Bucket", "Finding", "Grant", "audit", "close", "ensure", "grant", "revoke", "service_account"]
