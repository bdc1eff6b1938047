"""pytest plugin for python-etcd3's suite: what it needs to run against a server of ours.

- Some of its tests say etcd3.client() and mean 127.0.0.1:2379; here that is PYTHON_ETCD_HTTP_URL.
- It was written for an older hypothesis: its tests share one fixture between examples, which
  hypothesis has since learnt to refuse. 8 examples of one key each prove no less about a server
  than the default of 100.
"""

import functools
import os
from urllib.parse import urlparse

import etcd3
from hypothesis import HealthCheck, settings

_endpoint = urlparse(os.environ["PYTHON_ETCD_HTTP_URL"])
etcd3.client = functools.partial(etcd3.client, host=_endpoint.hostname, port=_endpoint.port)


def pytest_collection_modifyitems(items):
    for item in items:
        test = getattr(item, "function", None)
        if hasattr(test, "hypothesis"):
            test._hypothesis_internal_use_settings = settings(
                deadline=None, max_examples=8, suppress_health_check=list(HealthCheck)
            )
