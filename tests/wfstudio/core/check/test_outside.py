"""What reaches out of a body: files, processes, the network, threads, blocking."""

from __future__ import annotations

import pytest

from tests.wfstudio.core.check.stage import check_body, codes_of

FOUND = {
    "WF201": [
        "open('x')",
        "with open('x') as f:\n    f.read()",
        "from pathlib import Path\nPath('x').read_text()",
        "from pathlib import Path\np = Path('x') / order\np.write_bytes(b'')",
        "import os\nos.listdir('.')",
        "import os\nos.path.exists('x')",
        "from os import path\npath.isfile('x')",
        "import shutil\nshutil.copy('a','b')",
        "import tempfile\ntempfile.mkdtemp()",
        "import glob\nglob.glob('*')",
        "input()",
        "import os\nos.remove('x')",
        "import pandas as pd\npd.read_csv('x')",
        "from pathlib import Path\nPath('x').parent.mkdir()",
        "import sys\nsys.stdin.read()",
        "given['p'].read_text()",
        "import gzip\ngzip.open('x')",
        "import io\nio.open('x')",
        "import aiofiles\nasync with aiofiles.open('x') as f:\n    await f.read()",
    ],
    "WF202": [
        "import subprocess\nsubprocess.run(['ls'])",
        "import os\nos.system('ls')",
        "await asyncio.create_subprocess_exec('ls')",
        "from subprocess import Popen\nPopen(['ls'])",
        "import subprocess as sp\nsp.check_output(['ls'])",
    ],
    "WF203": [
        "import requests\nrequests.get('u')",
        "import httpx\nawait httpx.AsyncClient().get('u')",
        "import httpx\nasync with httpx.AsyncClient() as c:\n    await c.get('u')",
        "import urllib.request\nurllib.request.urlopen('u')",
        "from urllib.request import urlopen\nurlopen('u')",
        "import socket\nsocket.socket()",
        "import aiohttp\nasync with aiohttp.ClientSession() as s:\n    await s.get('u')",
        "import sqlite3\nsqlite3.connect('x')",
        "import psycopg\nawait psycopg.AsyncConnection.connect('x')",
        "import boto3\nboto3.client('s3')",
        "import smtplib\nsmtplib.SMTP('x')",
        "await asyncio.open_connection('h', 1)",
        "import redis\nredis.Redis()",
        "import redis.asyncio as redis\nredis.Redis()",
        "import asyncpg\nawait asyncpg.connect('x')",
        "from openai import AsyncOpenAI\nAsyncOpenAI()",
        "import http.client\nhttp.client.HTTPSConnection('x')",
        "s = __import__('x')\nimport requests\nwith requests.Session() as s:\n    s.get('u')",
        "import websockets\nawait websockets.connect('x')",
    ],
    "WF204": [
        "import threading\nthreading.Thread(target=print).start()",
        "await asyncio.to_thread(print)",
        "asyncio.get_running_loop().run_in_executor(None, print)",
        "loop = asyncio.get_event_loop()\nawait loop.run_in_executor(None, print)",
        "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor() as p:\n    p.submit(print)",
        "import multiprocessing\nmultiprocessing.Process(target=print)",
        "asyncio.run(charge('a'))",
        "import concurrent.futures\nconcurrent.futures.ProcessPoolExecutor()",
        "wf.run(child, 'a')",
        "from threading import Timer\nTimer(1, print)",
    ],
    "WF205": [
        "import time\ntime.sleep(1)",
        "from time import sleep\nsleep(1)",
        "import threading\ne = threading.Event()\ne.wait()",
    ],
}

FINE = [
    "import os\nos.path.join('a','b'); os.path.basename('a'); os.sep",
    "from pathlib import Path\np = Path('a') / 'b'\np.with_suffix('.x'); str(p.parent / 'c'); p.name",
    "print('x')",
    "import httpx\ntry:\n    await charge('a')\nexcept httpx.HTTPError:\n    raise httpx.HTTPError('x')",
    "import requests\ntry:\n    await charge('a')\nexcept requests.exceptions.Timeout: pass",
    "from urllib.parse import quote, urlparse\nquote('a'); urlparse('x')",
    "import socket\nsocket.AF_INET; socket.inet_aton('1')",
    "import sqlite3\ntry:\n    await charge('a')\nexcept sqlite3.IntegrityError: pass",
    "def time(): return 1\ntime()",
    "id = order\nid",
    "open = given['open']\nopen('x')",
    "hash = 3",
    "from types import SimpleNamespace\nx = SimpleNamespace(time=1)\nx.time",
    "hash(3)",
    "import wf as w\nw.now()",
    "match order:\n    case 'a': pass\n    case _: pass",
    "import time as time_module\ntime_module.struct_time",
    "async with asyncio.timeout(3):\n    await charge('a')",
    "q = asyncio.Queue()\nawait q.put(1)\nq.put_nowait(2)\ne = asyncio.Event()\ne.set()\n"
    "lock = asyncio.Lock()\nasync with lock: pass",
    "x = order.encode()\ny = x.decode()",
    "import threading\nthreading.local",
    "import subprocess\ntry:\n    await charge('a')\nexcept subprocess.CalledProcessError: pass",
    "loop = asyncio.get_running_loop()\nloop.time(); loop.create_task(charge('a')); loop.call_soon(print)",
    "import sqlalchemy as sa\nsa.select(1).where(2)",
    "import asyncio as aio\nawait aio.sleep(3)",
]


@pytest.mark.parametrize(("code", "body"), [(code, body) for code, bodies in FOUND.items() for body in bodies])
def test_it_is_found_and_nothing_else_is(code: str, body: str) -> None:
    assert set(codes_of(body)) == {code}


@pytest.mark.parametrize("body", FINE)
def test_it_is_fine(body: str) -> None:
    assert [finding.message for finding in check_body(body)] == []
