"""What has another answer each time: the clock, chance, ids, the environment, hashes, the order of sets."""

from __future__ import annotations

import pytest

from tests.wfstudio.core.check.stage import check_body, codes_of

FOUND = {
    "WF101": [
        "import time\ntime.time()",
        "import time as t\nx = t.monotonic()",
        "from time import perf_counter\nperf_counter()",
        "from time import time as clock\nreturn clock()",
        "from datetime import datetime\ndatetime.now()",
        "import datetime\ndatetime.datetime.utcnow()",
        "import datetime as dt\ndt.datetime.now(dt.UTC)",
        "from datetime import date\ndate.today()",
        "import time\ntime.localtime()",
        "import time\ntime.strftime('%Y')",
        "from datetime import datetime\nxs = sorted(given, key=lambda x: datetime.now())",
        "import time\nf = time.time\nf()",
        "import time\nreturn [time.time_ns() for _ in range(3)]",
        "import time\nreturn {'at': time.time()}",
        "import time\nreturn f'{time.time()}'",
        "import time\nif time.time() > 3: pass",
        "import time\nawait charge(str(time.time()))",
        "import time\nasync def inner():\n    return time.time()\nreturn await inner()",
    ],
    "WF102": [
        "import random\nrandom.random()",
        "from random import choice\nchoice([1])",
        "import random as r\nr.shuffle(x)",
        "import secrets\nsecrets.token_hex()",
        "import os\nos.urandom(3)",
        "import numpy as np\nnp.random.rand()",
        "from numpy.random import default_rng\ndefault_rng()",
        "import random\nrandom.Random()",
        "import random\nrandom.SystemRandom().choice([1])",
        "import random\nrandom.seed(4)",
        "from numpy import random\nrandom.randint(3)",
    ],
    "WF103": [
        "import uuid\nuuid.uuid4()",
        "from uuid import uuid4\nstr(uuid4())",
        "from uuid import uuid1 as u\nu()",
        "import uuid\nuuid.uuid7()",
        "from uuid import uuid4\nawait charge(uuid4().hex)",
    ],
    "WF104": [
        "import os\nos.environ['A']",
        "import os\nos.environ.get('A')",
        "import os\nos.getenv('A')",
        "from os import environ\nenviron['x']",
        "from os import getenv\ngetenv('x')",
        "import os\n'A' in os.environ",
        "import os\nos.getcwd()",
        "import sys\nsys.argv[1]",
        "import platform\nplatform.node()",
        "import socket\nsocket.gethostname()",
        "from pathlib import Path\nPath.cwd()",
        "import os\nos.getpid()",
    ],
    "WF105": [
        "hash(order)",
        "id(order)",
        "sorted(given, key=id)",
        "sorted(given, key=hash)",
        "x = hash('a') % 3",
    ],
    "WF106": [
        "for x in {'a', 'b'}:\n    await charge(x)",
        "for x in set(given): pass",
        "s = set(given)\nfor x in s: pass",
        "s = frozenset('ab')\nreturn [await charge(x) for x in s]",
        "s: set[str] = given['x']\nfor x in s: pass",
        "return list({'a','b'})",
        "return ','.join({'a','b'})",
        "a = set(given)\nb = set(given)\nfor x in a | b: pass",
        "a = set(given)\nfor x in a - {'x'}: pass",
        "for x in given.keys() & {'a'}: pass",
        "a = {}\nfor x in a.keys() - given: pass",
        "a = {'x'}\nfor x in a.union(given): pass",
        "s = {'a','b'}\nawait asyncio.gather(*(charge(x) for x in s))",
        "s = {'a'}\nx, y = s",
        "s = {'a'}\ns.pop()",
        "s = {'a'}\nfor i, x in enumerate(s): pass",
        "s = {'a'}\nfor i, x in zip(s, given): pass",
        "s = {x for x in given}\nfor y in s: pass",
        "s = set()\ns.add('a')\nfor y in s: pass",
        "return dict.fromkeys({'a'})",
        "s = {'a'}\nreturn {x: 1 for x in s}",
        "s = {'a'}\nreturn [*s]",
        "s = {'a'}\nprint(*s)",
        "s = set(given) if order else frozenset()\nfor x in s: pass",
        "xs = []\nxs.extend({'a'})",
        "s = {'a'}\nreturn any([await charge(x) for x in s])",
        "s = {'a'}\nreturn {await charge(x) for x in s}",
        "return next(iter({'a'}))",
        "if order:\n    s = set(given)\nelse:\n    s = []\nfor x in s: pass",
        "s = {'a'}\nwhile s:\n    s.pop()",
        "for x in {1, 2}: pass",
        "s = set()\nfor y in given:\n    s |= {y}\nfor x in s: pass",
    ],
}

FINE = [
    "wf.now(); wf.time_ns(); wf.uuid4(); wf.random().choice([1]); wf.random().random()",
    "await wf.sleep('1h'); await asyncio.sleep(1)",
    "import datetime\ndatetime.datetime(2020,1,1); datetime.timedelta(1); "
    "datetime.datetime.fromisoformat('2020-01-01')",
    "import time\ntime.strftime('%Y', time.gmtime(3))",
    "import random\nr = random.Random(5)\nr.random(); r.shuffle([1])",
    "import random\nrandom.Random(wf.time_ns()).choice([1])",
    "import uuid\nuuid.UUID('x'); uuid.uuid5(uuid.NAMESPACE_DNS, 'x')",
    "import os\nos.path.join('a','b'); os.path.basename('a'); os.sep",
    "from pathlib import Path\np = Path('a') / 'b'\np.with_suffix('.x'); str(p.parent / 'c'); p.name",
    "print('x')",
    "import logging\nlogging.getLogger().info('x')",
    "from urllib.parse import quote, urlparse\nquote('a'); urlparse('x')",
    "import hashlib, json, re, math\nhashlib.sha256(b'').hexdigest(); json.dumps({}); re.match('a','a')",
    "s = {'a'}\nfor x in sorted(s): pass",
    "s = {'a'}\nlen(s); 'a' in s; any(x for x in s); sum(len(x) for x in s); max(s); set(s); "
    "frozenset(s); sorted(list(s)); {x.lower() for x in s}; sorted(x for x in s); "
    "sorted([x for x in s])",
    "s = {'a'}\nawait charge(s)",
    "s = {'a'}\ns.add('b'); s.discard('a'); s.update(['c'])",
    "tasks = {asyncio.create_task(charge(x)) for x in given}\nfor t in tasks: t.cancel()\n"
    "done, pending = await asyncio.wait(tasks)\nfor t in done: await t\nfor t in pending: t.cancel()",
    "tasks = set()\nfor x in given:\n    tasks.add(asyncio.create_task(charge(x)))\n"
    "for t in tasks: t.cancel()\nfor t in asyncio.as_completed(tasks): await t",
    "s = set(given)\ns = sorted(s)\nfor x in s: pass",
    "s = given['x']\nif isinstance(s, set):\n    s = sorted(s)\nfor x in s: pass",
    "for x in {'a': 1}: pass\nfor x, y in {'a': 1}.items(): pass",
    "a = {'a': 1}\nb = {**a}\nfor x in a | b: pass",
]


@pytest.mark.parametrize(("code", "body"), [(code, body) for code, bodies in FOUND.items() for body in bodies])
def test_it_is_found_and_nothing_else_is(code: str, body: str) -> None:
    assert set(codes_of(body)) == {code}


@pytest.mark.parametrize("body", FINE)
def test_it_is_fine(body: str) -> None:
    assert [finding.message for finding in check_body(body)] == []
